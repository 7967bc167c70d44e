"""What a destination takes where it does not take everything."""

from __future__ import annotations

import json

import pytest

from support.imports import modules_after
from tailrace.config.tables import RecordFilter
from tailrace.errors import ConfigError
from tailrace.model.record import Record
from tailrace.processors.filters import DestinationFilter, build_filter


def record(content: object, kind: str = "function") -> Record:
    event = {"type": kind, "record": content}
    return Record(1, "", kind, event, json.dumps(event))


def reason(wanted: RecordFilter, subject: Record, default_types: tuple[str, ...] | None = None) -> str | None:
    problems: list[ConfigError] = []
    made = build_filter(wanted, default_types, problems)
    assert problems == []
    assert made is not None
    assert made(subject) is (made.reason(subject) is None)
    return made.reason(subject)


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        (record({"level": "debug"}), "min_level"),
        (record("[INFO]\tt\ti\tm"), "min_level"),
        (record({"level": "warn"}), None),
        (record({"level": "fatal"}), None),
        (record("says nothing of it"), None),
        (record({}, "platform.start"), None),
        (record("INFO x", "extension"), "min_level"),
    ],
)
def test_the_least_severity_leaves_out_what_says_that_it_is_less(subject: Record, why: str | None) -> None:
    assert reason(RecordFilter("here", min_level="warn"), subject) == why


@pytest.mark.parametrize(("kind", "why"), [("function", None), ("platform.start", "types"), ("future.kind", None)])
def test_types(kind: str, why: str | None) -> None:
    assert reason(RecordFilter("here", types=("function",)), record("x", kind)) == why
    assert reason(RecordFilter("here", min_level="trace"), record("x", kind), ("function",)) == why


def test_what_must_or_must_not_be_found_in_texts_and_in_the_json_of_objects() -> None:
    wanted = RecordFilter("here", match=("sold", "paid"), exclude=("test",))
    assert reason(wanted, record("sold one")) is None
    assert reason(wanted, record({"event": "paid"})) is None
    assert reason(wanted, record("lost one")) == "match"
    assert reason(wanted, record("sold one test")) == "exclude"
    assert reason(wanted, Record(1, "", "", None, "null")) == "match"


def test_a_pattern_that_cannot_be_used_is_named_and_left_out() -> None:
    problems: list[ConfigError] = []
    made = build_filter(RecordFilter("here", match=("(",), exclude=(".*b.*c.*d",)), None, problems)
    assert [problem.setting for problem in problems] == ["here, match", "here, exclude"]
    assert made is not None
    assert made(record("x"))


def test_where_nothing_is_asked_for_there_is_no_filter() -> None:
    assert build_filter(None, None, []) is None
    only = build_filter(None, ("function",), [])
    assert only is not None
    assert not only(record("x", "extension"))


def test_a_record_that_cannot_be_judged_is_not_left_out() -> None:
    class Hostile(dict[str, object]):
        def get(self, *_: object) -> object:
            raise RecursionError

    assert DestinationFilter(min_level="fatal")(Record(1, "", "function", Hostile(), None))


def test_a_filter_without_patterns_needs_no_regular_expressions() -> None:
    code = (
        "from tailrace.config.tables import RecordFilter\n"
        "from tailrace.processors.filters import build_filter\n"
        "build_filter(RecordFilter('here', ('function',), 'warn'), None, [])"
    )
    assert "re" not in modules_after(code)
