"""Records that the service cut, put together again."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from support.pipeline_fakes import Told
from tailrace.clock import SystemClock
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.intake import Intake, Oversized
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.progress import Progress
from tailrace.processors.attribute import Attributor
from tailrace.processors.stitch import MAX_BYTES, Stitcher
from tailrace.processors.worker import Worker
from tailrace.protocol.events import split_events

TIME = "2026-11-20T21:00:00.000Z"
HEAD = f'{{"time":"{TIME}","type":"function","record":"'.encode()


def encoded(*texts: str) -> list[bytes]:
    return [HEAD + json.dumps(text, ensure_ascii=False).encode()[1:-1] + b'"}' for text in texts]


def in_parts(event: bytes, places: list[int]) -> list[bytes]:
    """One event as the service sends it when it is too large: each part in the same envelope, all but the last cut."""
    text = event[len(HEAD) : -len(b'"}')]
    ends = [*sorted({place % len(text) for place in places if place % len(text)}), len(text)]
    begins = [0, *ends[:-1]]
    pieces = [HEAD + text[begin:end] for begin, end in zip(begins, ends, strict=True)]
    return [piece + b"}" for piece in pieces[:-1]] + [pieces[-1] + b'"}']


def read(bodies: list[bytes]) -> tuple[list[object], int]:
    """The records of `bodies`, and the bytes that were lost."""
    stitcher = Stitcher()
    records, lost = [], 0
    for body in bodies:
        joined, given_up = stitcher.join(body)
        split = split_events(joined)
        records += [event.value["record"] for event in split.events if isinstance(event.value, dict)]
        lost += given_up
        if split.unparsable_bytes and not stitcher.hold(joined):
            lost += split.unparsable_bytes
    return records, lost + stitcher.give_up()


@given(
    before=st.lists(st.text(max_size=5), max_size=2),
    large=st.text(min_size=4, max_size=80),
    after=st.lists(st.text(max_size=5), max_size=2),
    places=st.lists(st.integers(1, 400), min_size=1, max_size=4),
)
def test_wherever_it_is_cut_a_record_is_whole_again_and_its_neighbours_too(
    before: list[str], large: str, after: list[str], places: list[int]
) -> None:
    parts = in_parts(encoded(large)[0], places)
    bodies = [b"[" + b",".join([*encoded(*before), parts[0]]) + b"]", *(b"[" + part + b"]" for part in parts[1:-1])]
    last = b"[" + b",".join([parts[-1], *encoded(*after)]) + b"]"
    bodies = [*bodies, last] if len(parts) > 1 else [b"[" + b",".join(encoded(*before, large, *after)) + b"]"]
    assert read(bodies) == ([*before, large, *after], 0)


def test_a_rest_that_does_not_come_costs_the_cut_record_alone() -> None:
    cut = b"[" + encoded("first")[0] + b"," + HEAD + b"half of a li}]"
    records, lost = read([cut, b"[" + encoded("next")[0].replace(b"21:00", b"21:01") + b"]"])
    assert records == ["first", "next"]
    assert lost == len(HEAD + b"half of a li")


def test_what_is_no_cut_record_is_not_held() -> None:
    stitcher = Stitcher()
    for body in (b"not JSON", b"[{]", b'[{"time":"x"}]]', b"[" + HEAD + b"no end", b"}]", b""):
        assert not stitcher.hold(body)
    assert not stitcher.hold(b"[" + HEAD + b"x" * MAX_BYTES + b"}]")
    assert stitcher.held_bytes == 0


def test_the_ledger_counts_a_cut_record_once_whole_or_lost() -> None:
    clock, ledger = SystemClock(), Ledger()
    progress = Progress(clock)
    intake = Intake(ledger, progress, clock)
    worker = Worker(intake, Fanout([], ledger, clock), ledger, Attributor(), progress, ("function",), Told())
    parts = in_parts(encoded("a long line")[0], [5])
    for part in parts:
        assert intake.admit(b"[" + part + b"]")
    assert intake.admit(b"[" + parts[0] + b"]")
    assert intake.admit(Oversized(5))
    assert intake.admit(b"[" + parts[0] + b"]")
    intake.close()
    worker.run()
    assert progress.wait_quiet(0)
    (row,) = ledger.snapshot().values()
    assert row.dropped == {"no_destination": 1, "unparsable": 2, "body_too_large": 1}
    assert row.received == row.accounted
