"""What of a long run is kept to be told at the end."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tailrace.cli.document import written
from tailrace.cli.story import FrozenPart, InvokePart, Story
from tailrace.emulator.function import Answer, Report

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def invocation(number: int, *logs: str, left_out: int = 0) -> InvokePart:
    report = Report(f"id-{number}", "success", "", 1.0, 2, 128, 30, None)
    return InvokePart(Answer(f"id-{number}", b"{}"), report, logs, left_out)


def test_the_oldest_invocations_lose_their_logs_and_say_how_many_lines_those_were() -> None:
    story = Story(max_log_bytes=50_000)
    story.parts.append(FrozenPart(12))
    for number in range(10):
        story.add_invocation(invocation(number, f"{number}" + "x" * 10_000, "END", left_out=number))
        story.parts.append(FrozenPart(number))
    kept = [len(part.logs) for part in story.invocations]
    assert kept == [0] * 6 + [2] * 4
    assert [part.n_logs_left_out for part in story.invocations] == [2, 3, 4, 5, 6, 7, 6, 7, 8, 9]
    assert [part.answer.request_id for part in story.invocations] == [f"id-{number}" for number in range(10)]
    assert sum(len(text) for part in story.invocations for text in part.logs) <= 50_000


def test_the_last_invocation_keeps_its_logs_however_many() -> None:
    story = Story(max_log_bytes=10)
    story.add_invocation(invocation(1, "x" * 100))
    assert story.invocations[0].logs == ("x" * 100,)


@given(JSON, st.lists(JSON))
def test_a_document_in_pieces_is_the_whole_document(value: object, items: list[object]) -> None:
    text = "".join(written({"value": value, "items": iter(items), "mapped": map(str, [1, 2]), "none": iter(())}))
    whole = {"value": value, "items": items, "mapped": ["1", "2"], "none": []}
    assert text == json.dumps(whole, ensure_ascii=False)
