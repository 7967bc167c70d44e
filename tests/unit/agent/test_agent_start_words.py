"""What the fast start reads out of an event before any decoder is imported."""

from __future__ import annotations

import json
import posix
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.agent.app import App
from tailrace.agent.early_margin import DEFAULT_MARGIN_S, margin_in
from tailrace.agent.start import (
    LONGEST_S,
    UNSTATED_DEADLINE_S,
    FastStart,
    deadline_left_s,
    handle,
    is_shutdown,
    margin_s,
    member,
)

INVOKE = {"eventType": "INVOKE", "deadlineMs": 10_000_000_000_000, "requestId": "a", "tracing": {"type": "SHUTDOWN"}}
SHUTDOWN = {"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": 10_000_000_000_000}


@pytest.mark.parametrize("indent", [None, 2])
def test_the_kind_of_an_event_is_seen_however_it_is_written(indent: int | None) -> None:
    assert is_shutdown(json.dumps(SHUTDOWN, indent=indent).encode())
    assert not is_shutdown(json.dumps(INVOKE, indent=indent).encode())


@pytest.mark.parametrize("indent", [None, 2])
def test_the_deadline_is_read_however_it_is_written(indent: int | None) -> None:
    assert deadline_left_s(json.dumps(INVOKE, indent=indent).encode()) == LONGEST_S
    soon = {**INVOKE, "deadlineMs": int((time.time() + 600) * 1000)}
    assert 500 < deadline_left_s(json.dumps(soon, indent=indent).encode()) <= 600


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"deadlineMs":"soon"}',
        b'{"deadlineMs":-5}',
        b"\xff",
        b'{"deadlineMs":1%s}' % (b"0" * 30),
        b'{"deadlineMs":NaN}',
    ],
)
def test_without_a_deadline_a_short_one_stands_in(body: bytes) -> None:
    assert deadline_left_s(body) == UNSTATED_DEADLINE_S


@given(st.binary(), st.binary(min_size=1))
def test_no_bytes_make_it_fail(body: bytes, name: bytes) -> None:
    assert isinstance(member(body, name), bytes)
    assert isinstance(is_shutdown(body), bool)
    assert isinstance(deadline_left_s(body), float)


@given(st.integers() | st.floats())
def test_no_deadline_is_longer_than_a_lock_can_be_waited_for(deadline_ms: float) -> None:
    assert deadline_left_s(b'{"deadlineMs":%s}' % str(deadline_ms).encode()) <= threading.TIMEOUT_MAX


@pytest.mark.parametrize(
    ("file", "digits"),
    [
        (b"margin_ms = 250", b"250"),
        (b'flush = "end"\r\n  margin_ms=1_250 # far\r\n', b"1250"),
        (b'"margin_ms" = "300"', b"300"),
        (b'margin_ms = "${MY_MARGIN}"', b"77"),
        (b'margin_ms = "${NOT_SET}"', b""),
        (b"# margin_ms = 5", b""),
        (b"[emulator]\nmargin_ms = 5", b""),
        (b"margin_ms", b""),
        (b"end_margin_ms = 5", b""),
        (b"", b""),
    ],
)
def test_the_margin_is_read_out_of_a_file_that_cannot_be_decoded_yet(file: bytes, digits: bytes) -> None:
    assert margin_in(file, {b"MY_MARGIN": b" 77 "}) == digits


@given(st.binary())
def test_no_file_makes_it_fail(file: bytes) -> None:
    assert isinstance(margin_in(file, {}), bytes)
    assert isinstance(margin_in(b"margin_ms=" + file, {}), bytes)


@pytest.mark.parametrize(
    ("variable", "file", "margin"),
    [
        (b"", b"", DEFAULT_MARGIN_S),
        (b"", b"margin_ms = 2500", 2.5),
        (b"30", b"margin_ms = 2500", 0.03),
        (b"soon", b"margin_ms = 2500", 2.5),
        (b"60001", b"", DEFAULT_MARGIN_S),
        (b"9" * 5000, b"margin_ms = 99999999999999", DEFAULT_MARGIN_S),
        (b"0", b"", 0.0),
    ],
)
def test_the_first_wait_keeps_the_margin_of_the_environment_else_of_the_file(
    variable: bytes, file: bytes, margin: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tailrace.toml"
    path.write_bytes(file)
    monkeypatch.setitem(posix.environ, b"TAILRACE_CONFIG_FILE", str(path).encode())
    monkeypatch.setitem(posix.environ, b"TAILRACE_MARGIN_MS", variable)
    assert margin_s() == margin


class Unready(FastStart):
    """The application never stands; how long it would have been waited for is noted."""

    __slots__ = ("waits_s",)

    def __init__(self) -> None:
        super().__init__()
        self.waits_s: list[float] = []

    def app_within(self, wait_s: float) -> App | None:
        self.waits_s.append(wait_s)
        return None


def test_an_event_that_comes_before_the_settings_is_waited_with_up_to_the_margin_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tailrace.toml"
    path.write_text("margin_ms = 59000")
    monkeypatch.setitem(posix.environ, b"TAILRACE_CONFIG_FILE", str(path).encode())
    fast = Unready()
    fast.telemetry = True
    handle(json.dumps({**INVOKE, "deadlineMs": int((time.time() + 3600) * 1000)}).encode(), fast)
    (wait_s,) = fast.waits_s
    assert 3600 - 120 < wait_s <= 3600 - 59
