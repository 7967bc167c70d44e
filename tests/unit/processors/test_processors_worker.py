from __future__ import annotations

import json
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.pipeline_fakes import FakeDestination, Rig, Told
from tailrace.clock import SystemClock
from tailrace.config.tables import MaskSpec
from tailrace.model.record import Record
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.intake import Intake, Oversized
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.progress import Progress
from tailrace.pipeline.routing import Route
from tailrace.pipeline.sending.exporter import Exporter
from tailrace.processors.attribute import Attributor
from tailrace.processors.mask import Masker, build_masker
from tailrace.processors.worker import Worker

LIMIT_S = 20.0
TIME = "2026-11-20T21:00:00.000Z"


class Keeping(FakeDestination):
    """Remembers every record that reaches its door."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []

    def encode_record(self, record: Record, resource: object) -> bytes:
        self.records.append(record)
        return b"x"


class Bench:
    """A worker with one destination behind it."""

    def __init__(
        self, wanted: tuple[str, ...] = ("platform", "function"), attributor: Attributor | None = None
    ) -> None:
        clock, self.ledger, self.told = SystemClock(), Ledger(), Told()
        self.progress = Progress(clock)
        self.intake = Intake(self.ledger, self.progress, clock)
        self.destination = Keeping()
        self.rig = Rig(self.destination, ledger=self.ledger)
        fanout = Fanout([self.rig.exporter], self.ledger, clock)
        self.worker = Worker(
            self.intake, fanout, self.ledger, attributor or Attributor(), self.progress, wanted, self.told
        )

    def process(self, *events: object) -> None:
        self.worker.process(json.dumps(events).encode())


def event(kind: str, content: object) -> dict[str, object]:
    return {"time": TIME, "type": kind, "record": content}


def test_events_become_numbered_attributed_records() -> None:
    bench = Bench()
    bench.process(event("platform.start", {"requestId": "a"}), event("function", "hello"))
    bench.process(event("platform.report", {"requestId": "a"}))
    records = bench.destination.records
    assert [(r.seq, r.type, r.request_id) for r in records] == [
        (1, "platform.start", "a"),
        (2, "function", "a"),
        (3, "platform.report", "a"),
    ]
    assert records[1].raw == json.dumps(event("function", "hello"))
    assert bench.rig.counts().held == 3


def test_unwanted_types_and_own_lines_are_filtered_and_counted() -> None:
    bench = Bench(wanted=("function", "extension"))
    own = '{"type":"tailrace.log","message":"x"}'
    bench.process(
        event("platform.start", {}), event("function", "x"), event("extension", own), event("extension", "theirs")
    )
    assert [r.type for r in bench.destination.records] == ["function", "extension"]
    assert (bench.rig.counts().received, bench.rig.counts().filtered) == (4, 2)


def test_odd_events_pass_through_whole() -> None:
    bench = Bench(wanted=("function",))
    bench.process(None, 7, "text", [1], {}, event("future.kind", {}), {"type": 3}, event("function", None))
    assert [r.raw for r in bench.destination.records][:5] == ["null", "7", '"text"', "[1]", "{}"]
    assert bench.rig.counts().received == len(bench.destination.records) == 8


def test_what_cannot_be_parsed_is_one_dropped_record_and_costs_no_neighbour() -> None:
    bench = Bench()
    remainder = b'{"type":"function","rec'
    bench.worker.process(b'[{"type":"function","record":"kept"},' + remainder)
    counts = bench.rig.counts()
    assert (counts.received, counts.held, counts.dropped) == (2, 1, {"unparsable": 1})
    assert [line[2]["bytes"] for line in bench.told.lines] == [len(remainder)]


def test_a_body_that_was_not_kept_is_one_dropped_record() -> None:
    bench = Bench()
    bench.worker.process(Oversized(20_000_000))
    assert bench.rig.counts().dropped == {"body_too_large": 1}


def test_the_end_of_an_invocation_is_told_when_all_that_came_with_it_is_processed() -> None:
    seen: list[int] = []

    class Watching(Progress):
        __slots__ = ()

        def invocation_done(self, request_id: str) -> None:
            seen.append(len(bench.destination.records))
            super().invocation_done(request_id)

    bench = Bench()
    bench.worker._progress = bench.progress = Watching(SystemClock())
    bench.process(event("platform.runtimeDone", {"requestId": "a"}), event("function", "late"))
    assert seen == [2]
    assert bench.progress.wait_done("a", 0)
    assert not bench.progress.wait_report("a", 0)
    bench.process(event("platform.report", {"requestId": "a"}))
    assert bench.progress.wait_report("a", 0)


def test_the_end_is_told_though_platform_events_are_not_delivered() -> None:
    bench = Bench(wanted=("function",))
    bench.process(event("platform.runtimeDone", {"requestId": "a"}))
    assert bench.progress.wait_done("a", 0)
    assert bench.destination.records == []


def test_what_the_platform_lost_is_told_and_has_a_row_of_its_own() -> None:
    bench = Bench()
    bench.process(event("platform.logsDropped", {"reason": "slow", "droppedRecords": 42, "droppedBytes": 9001}))
    bench.process(event("platform.logsDropped", {"droppedRecords": 8}))
    bench.process(*(event("platform.logsDropped", {"droppedRecords": n}) for n in (0, -1, "9", None, 10**30)), 3)
    row = bench.ledger.snapshot()["platform"]
    assert (row.received, row.dropped) == (50, {"logs_dropped": 50})
    assert bench.told.lines[0][2] == {"droppedRecords": 42}


def test_patterns_of_masks_and_filters_have_time_anew_for_each_post() -> None:
    began: list[str] = []

    class Watched(Masker):
        __slots__ = ()

        def begin_body(self) -> None:
            began.append("mask")

    bench = Bench()
    route = Route(lambda record: True, begin_body=lambda: began.append("filter"))
    fanout = Fanout([bench.rig.exporter], bench.ledger, SystemClock(), routes=[route])
    parts = (bench.intake, fanout, bench.ledger, Attributor(), bench.progress, ("function",), bench.told)
    worker = Worker(*parts, masker=Watched([], []))
    for _ in range(2):
        worker.process(json.dumps([event("function", "x")] * 600).encode())
    assert sorted(began) == ["filter", "filter", "mask", "mask"]


def test_a_body_that_breaks_the_worker_is_counted() -> None:
    class Faulty(Fanout):
        __slots__ = ()

        def offer(self, records: Sequence[Record], promised: Sequence[Exporter] = ()) -> None:
            raise MemoryError

    bench = Bench()
    bench.worker._fanout = Faulty([bench.rig.exporter], bench.ledger, SystemClock())
    with pytest.raises(MemoryError):
        bench.process(event("platform.runtimeDone", {"requestId": "a"}), *[event("function", "x")] * 299)
    assert bench.rig.counts().dropped == {"internal_error": 50}  # what had not been handed over
    assert bench.progress.wait_done("a", 0)


def test_a_fault_of_ours_costs_one_event_and_is_counted() -> None:
    class Faulty(Attributor):
        __slots__ = ()

        def stamp(self, record: Record) -> None:
            if record.seq == 2:
                raise KeyError("secret")

    bench = Bench(attributor=Faulty())
    bench.process(event("function", 1), event("function", 2), event("function", 3))
    counts = bench.rig.counts()
    assert (counts.received, counts.held, counts.dropped) == (3, 2, {"internal_error": 1})
    assert "secret" not in str(bench.told.lines)


def test_the_thread_takes_from_the_intake_until_it_is_closed() -> None:
    bench = Bench()
    thread = threading.Thread(target=bench.worker.run)
    thread.start()
    for n in range(10):
        assert bench.intake.admit(json.dumps([event("function", n)]).encode())
    assert bench.progress.wait_quiet(LIMIT_S)
    assert len(bench.destination.records) == 10
    bench.intake.close()
    thread.join(LIMIT_S)
    assert not thread.is_alive()


@pytest.mark.parametrize("body", [b"", b"[]", b"  ", b"\xff\xfe", b"nonsense", b"[" * 100_000])
def test_no_body_stops_the_worker(body: bytes) -> None:
    bench = Bench()
    bench.worker.process(body)
    bench.process(event("function", "next"))
    assert bench.destination.records[-1].type == "function"
    assert bench.rig.counts().received >= 1


JSON = st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3))


@given(st.lists(st.one_of(JSON, st.builds(event, st.sampled_from(["function", "platform.x", "extension"]), JSON))))
def test_every_event_has_exactly_one_outcome(events: list[object]) -> None:
    bench = Bench()
    bench.process(*events)
    counts = bench.rig.counts()
    assert counts.received == len(events)
    assert counts.held == len(bench.destination.records) == len(events) - counts.filtered


def test_records_are_masked_before_any_destination_sees_them_and_the_counts_are_said_at_the_end() -> None:
    bench = Bench()
    masker = build_masker([MaskSpec("here", "email", rule="email")], False, [])
    worker = Worker(
        bench.intake,
        Fanout([bench.rig.exporter], bench.ledger, SystemClock()),
        bench.ledger,
        Attributor(),
        bench.progress,
        ("function",),
        bench.told,
        masker=masker,
    )
    assert bench.intake.admit(json.dumps([event("function", "to bob@example.com"), event("function", "x")]).encode())
    bench.intake.close()
    worker.run()
    assert [json.loads(record.raw or "")["record"] for record in bench.destination.records] == ["to ***", "x"]
    assert bench.told.lines == [("info", "masked before delivery", {"rules": {"email": 1}})]


def test_a_record_that_cannot_be_masked_is_dropped_and_its_neighbours_are_not() -> None:
    class Broken(Masker):
        __slots__ = ()

        def mask(self, record: Record) -> None:
            if "secret" in (record.raw or ""):
                raise RecursionError
            super().mask(record)

    bench = Bench()
    fanout = Fanout([bench.rig.exporter], bench.ledger, SystemClock())
    worker = Worker(
        bench.intake,
        fanout,
        bench.ledger,
        Attributor(),
        bench.progress,
        ("function",),
        bench.told,
        masker=Broken([], []),
    )
    worker.process(json.dumps([event("function", "secret"), event("function", "x")]).encode())
    assert len(bench.destination.records) == 1
    assert bench.rig.counts().dropped == {"internal_error": 1}
