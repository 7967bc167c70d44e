"""What the fast start reads out of an event before any decoder is imported."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.agent.start import UNSTATED_DEADLINE_S, deadline_left_s, is_shutdown, member

INVOKE = {"eventType": "INVOKE", "deadlineMs": 10_000_000_000_000, "requestId": "a", "tracing": {"type": "SHUTDOWN"}}
SHUTDOWN = {"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": 10_000_000_000_000}


@pytest.mark.parametrize("indent", [None, 2])
def test_the_kind_of_an_event_is_seen_however_it_is_written(indent: int | None) -> None:
    assert is_shutdown(json.dumps(SHUTDOWN, indent=indent).encode())
    assert not is_shutdown(json.dumps(INVOKE, indent=indent).encode())


@pytest.mark.parametrize("indent", [None, 2])
def test_the_deadline_is_read_however_it_is_written(indent: int | None) -> None:
    assert deadline_left_s(json.dumps(INVOKE, indent=indent).encode()) > 1_000_000


@pytest.mark.parametrize("body", [b"", b"{}", b'{"deadlineMs":"soon"}', b'{"deadlineMs":-5}', b"\xff"])
def test_without_a_deadline_a_short_one_stands_in(body: bytes) -> None:
    assert deadline_left_s(body) == UNSTATED_DEADLINE_S


@given(st.binary(), st.binary(min_size=1))
def test_no_bytes_make_it_fail(body: bytes, name: bytes) -> None:
    assert isinstance(member(body, name), bytes)
    assert isinstance(is_shutdown(body), bool)
    assert isinstance(deadline_left_s(body), float)
