"""The count of what a body holds is exact in whatever form its JSON is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.pipeline.record_count import record_count

_RECORDS = st.recursive(
    st.one_of(st.text(max_size=20), st.just('{"time":"9"},{"time":"8"}'), st.none(), st.integers()),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(["time", "a", "type"]), inner, max_size=3),
        st.lists(st.fixed_dictionaries({"time": st.text(max_size=5), "more": inner}), max_size=1),
    ),
    max_leaves=6,
)
_EVENTS = st.lists(
    st.fixed_dictionaries(
        {"time": st.just("2026-01-02T03:04:05.678Z"), "type": st.just("function"), "record": _RECORDS}
    ),
    min_size=1,
    max_size=8,
)


def turned(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict(reversed(event.items())) for event in events]


@given(_EVENTS)
def test_events_are_counted_whatever_they_hold_and_however_they_are_written(events: list[dict[str, Any]]) -> None:
    compact = json.dumps(events, separators=(",", ":"), ensure_ascii=False).encode()
    assert record_count(compact) == len(events)
    assert record_count(json.dumps(events).encode()) == len(events)
    assert record_count(json.dumps(events, indent=2).encode()) == len(events)
    assert record_count(json.dumps(turned(events), separators=(",", ":")).encode()) == len(events)


@pytest.mark.parametrize(
    ("content", "n"),
    [
        (b"[]", 1),
        (b"garbage", 1),
        (b"", 1),
        (b'[{"time":"1","record":[{"time":"2"},{"time":"3"}]}]', 1),
        (b'[{"time":"1"},{"time":"2","record":"cut he', 2),
        (b'[1,2,"three",null]', 4),
    ],
)
def test_odd_bodies_count_as_what_they_will_be_split_into(content: bytes, n: int) -> None:
    assert record_count(content) == n
