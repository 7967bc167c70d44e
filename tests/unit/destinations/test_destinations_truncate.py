"""Cutting a line to size."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.destinations._replies import retry_after_s
from tailrace.destinations._truncate import truncated_line
from tailrace.pipeline.messages import Reply


def line(record: object, **more: object) -> bytes:
    return json.dumps({"time": "t", "type": "function", "record": record, **more}, ensure_ascii=False).encode()


@given(st.text(min_size=300, max_size=600), st.integers(150, 400))
def test_a_cut_line_fits_is_marked_and_begins_as_the_whole_one_did(text: str, max_bytes: int) -> None:
    whole = line(text, requestId="r", seq=7)
    cut = truncated_line(whole, max_bytes)
    assert cut is not None
    assert len(cut) <= max_bytes
    value = json.loads(cut)
    assert value["truncated"] == {"originalBytes": len(whole)}
    assert (value["requestId"], value["seq"], value["type"]) == ("r", 7, "function")
    assert value["record"]
    assert text.startswith(value["record"])


def test_a_record_that_is_an_object_is_cut_as_the_text_that_it_is_and_twice_cut_keeps_its_first_size() -> None:
    whole = line({"message": "m" * 500})
    once = truncated_line(whole, 300)
    assert once is not None
    twice = truncated_line(once, 200)
    assert twice is not None
    value = json.loads(twice)
    assert value["record"].startswith('{"message":"mmm')
    assert value["truncated"] == {"originalBytes": len(whole)}


@pytest.mark.parametrize("data", [b"not JSON", b"[]", b'{"no":"record"}', b'"text"', line("x" * 300, extra="y" * 300)])
def test_where_there_is_nothing_to_cut_nothing_is(data: bytes) -> None:
    assert truncated_line(data, 120) is None


def test_a_date_to_come_back_at_counts_from_the_replys_own_or_else_from_the_moment_it_came() -> None:
    later = {"retry-after": "Fri, 02 Jan 2026 12:00:30 GMT"}
    assert retry_after_s(Reply(503, {**later, "date": "Fri, 02 Jan 2026 12:00:10 GMT"})) == 20.0
    undated = Reply(503, later)
    assert retry_after_s(undated) is None
    undated.came_s = 1_767_355_225.9
    assert retry_after_s(undated) == 5.0
    assert retry_after_s(Reply(503, {"retry-after": "7"})) == 7.0
