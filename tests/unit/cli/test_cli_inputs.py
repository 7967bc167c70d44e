"""What a user types: events and variables, right and wrong."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tailrace.cli.inputs import read_event, read_variables
from tailrace.errors import UsageError


def test_event_as_json_text() -> None:
    assert read_event('{"n": 1}', io.StringIO()) == b'{"n": 1}'


def test_event_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('["ä"]', encoding="utf-8")

    assert read_event(f"@{tmp_path / 'event.json'}", io.StringIO()) == '["ä"]'.encode()


def test_event_from_standard_input() -> None:
    assert read_event("-", io.StringIO("17")) == b"17"


def test_event_that_is_not_json_is_shown_and_the_remedy_named() -> None:
    with pytest.raises(UsageError) as caught:
        read_event("{n: 1}", io.StringIO())

    assert "“{n: 1}” is not JSON" in str(caught.value)
    assert "@FILE" in caught.value.remedy


def test_event_that_names_a_file_without_the_sign_gets_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text("{}")

    with pytest.raises(UsageError) as caught:
        read_event(str(path), io.StringIO())

    assert f"--event @{path}" in caught.value.remedy


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_event_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "event.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UsageError, match=r"event\.json"):
        read_event(f"@{path}", io.StringIO())


def test_variables_given_and_copied() -> None:
    host = {"TOKEN": "t", "OTHER": "o"}

    assert read_variables(["A=1", "B=x=y", "EMPTY=", "TOKEN"], host) == {
        "A": "1",
        "B": "x=y",
        "EMPTY": "",
        "TOKEN": "t",
    }


def test_the_last_value_of_a_name_holds() -> None:
    assert read_variables(["A=1", "A=2"], {}) == {"A": "2"}


@pytest.mark.parametrize(("entry", "words"), [("=1", "no name"), ("ABSENT", "ABSENT is not set here")])
def test_variables_that_make_no_sense(entry: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_variables([entry], {})
