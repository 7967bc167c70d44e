from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from support.pipeline_fakes import LIMIT_S, FakeDestination, FakeLimits, FakeTransport, Rig, record
from tailrace.clock import ManualClock, SystemClock
from tailrace.errors import ConfigError, ConnectError, NoReplyError, TransportError
from tailrace.model.batch import Batch
from tailrace.model.resource import Resource
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.interfaces import Request
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.messages import Outcome, Reply
from tailrace.pipeline.sending.breaker import Breaker
from tailrace.pipeline.sending.exporter import Exporter
from tailrace.pipeline.sending.settings import SenderSettings


def lines(first: int, last: int) -> list[bytes]:
    return [f'"line {n}"'.encode() for n in range(first, last + 1)]


def start(run: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_records_arrive_in_order_after_a_flush() -> None:
    rig = Rig()
    with rig.running():
        rig.offer(1, 5)
        assert rig.counts().held == rig.exporter.held == 5
        rig.exporter.request_flush()
        assert rig.exporter.wait_drained(rig.soon)
        assert rig.transport.lines == lines(1, 5)
        assert (rig.counts().delivered, rig.counts().held) == (5, 0)
    assert rig.told.lines == []


def test_full_batches_leave_without_a_flush() -> None:
    rig = Rig(FakeDestination(limits=FakeLimits(max_records=2)))
    with rig.running():
        rig.offer(1, 4)
        assert rig.exporter.wait_drained(rig.soon)
        assert rig.transport.lines == lines(1, 4)


def test_a_destination_killed_in_the_middle_loses_nothing_that_is_held() -> None:
    rig = Rig(
        FakeDestination(limits=FakeLimits(max_records=3)),
        settings=SenderSettings(breaker=lambda: Breaker(first_pause_s=0.0)),
    )
    with rig.running():
        rig.offer(1, 3)
        assert rig.exporter.wait_drained(rig.soon)
        rig.transport.always = ConnectError("connection refused")
        rig.transport.entered.clear()
        rig.offer(4, 12)
        assert rig.transport.entered.wait(LIMIT_S)
        counts = rig.counts()
        assert (counts.delivered, counts.held) == (3, 9)
        rig.transport.always = None
        rig.transport.sent.clear()
        while rig.counts().held:
            rig.exporter.wait_drained(rig.soon)
        assert rig.transport.lines[-9:] == lines(4, 12)
        assert rig.counts().delivered == 12
    assert [level for level, *_ in rig.told.lines] == ["warn", "info"]


def test_the_same_bytes_under_the_same_name_are_sent_again() -> None:
    script: list[int | TransportError] = [NoReplyError("reset"), ConnectError("refused"), 503]
    rig = Rig(FakeDestination(idempotent=False), FakeTransport(script))
    with rig.running():
        rig.offer(1, 2)
        rig.exporter.request_flush()
        assert rig.exporter.wait_drained(rig.soon)
        assert {(r.target, r.body) for r in rig.transport.sent} == {("/1-2", b'"line 1"\n"line 2"')}
        assert len(rig.transport.sent) == 4
        assert rig.counts().resent_unconfirmed == 2


def test_nothing_waits_for_a_destination_that_is_known_to_be_down() -> None:
    rig = Rig(clock=SystemClock())
    rig.transport.gate.clear()
    with rig.running():
        rig.offer(1, 1)
        rig.exporter.request_flush()
        assert not rig.exporter.wait_drained(rig.clock.monotonic_s() + 0.02)
        was_up = rig.exporter.is_up
        assert not was_up
        # would take the whole test's time if it waited
        assert not rig.exporter.wait_drained(rig.clock.monotonic_s() + 10 * LIMIT_S)
        rig.transport.gate.set()
        while not rig.exporter.is_up:
            rig.exporter.wait_drained(rig.soon)
        assert rig.counts().delivered == 1
    assert [level for level, *_ in rig.told.lines] == ["warn", "info"]


def test_a_wait_cut_short_by_the_caller_says_nothing_about_the_destination() -> None:
    rig = Rig()
    rig.transport.gate.clear()
    with rig.running():
        rig.offer(1, 1)
        rig.exporter.request_flush()
        assert not rig.exporter.wait_drained(rig.clock.monotonic_s(), full=False)
        assert rig.exporter.is_up
        assert rig.told.lines == []


def test_waiting_is_for_what_was_offered_before_it() -> None:
    rig = Rig(FakeDestination(limits=FakeLimits(max_records=1)))
    with rig.running():
        rig.offer(1, 1)
        assert rig.exporter.wait_drained(rig.soon)
        rig.transport.gate.clear()
        rig.transport.entered.clear()
        rig.offer(2, 2)
        assert rig.transport.entered.wait(LIMIT_S)
        done = []
        waiter = start(lambda: done.append(rig.exporter.wait_drained(rig.soon)))
        rig.transport.gate.set()
        waiter.join(LIMIT_S)
        assert done == [True]


def test_closing_delivers_what_is_left() -> None:
    rig = Rig(transport=FakeTransport([503, ConnectError("refused")]))
    with rig.running():
        rig.offer(1, 3)
        rig.exporter.close(rig.soon)
        assert (rig.counts().delivered, rig.counts().held) == (3, 0)


def test_closing_in_vain_drops_what_is_left_and_says_so() -> None:
    rig = Rig(clock=SystemClock())
    rig.transport.always = ConnectError("connection refused")
    with rig.running():
        rig.offer(1, 3)
        rig.exporter.close(rig.clock.monotonic_s() + 0.05)
        assert rig.counts().dropped == {"shutdown": 3}
        rig.offer(4, 4)
        assert rig.counts().dropped == {"shutdown": 4}
    assert rig.told.lines[-1][0] == "error"
    assert rig.told.lines[-1][2]["droppedRecords"] == 3


def test_closing_does_not_wait_for_a_reply_that_never_comes() -> None:
    rig = Rig(clock=SystemClock())
    rig.transport.gate.clear()
    with rig.running():
        rig.offer(1, 2)
        rig.exporter.request_flush()
        assert rig.transport.entered.wait(LIMIT_S)
        rig.exporter.close(rig.clock.monotonic_s() + 0.02)
        assert rig.counts().dropped == {"shutdown": 2}


def test_closing_without_a_thread_still_accounts_for_everything() -> None:
    rig = Rig()
    rig.offer(1, 2)
    rig.exporter.close(rig.clock.monotonic_s())
    assert rig.counts().dropped == {"shutdown": 2}


def test_a_request_that_cannot_be_built_is_said_once_and_its_records_stay_within_the_bound() -> None:
    rig = Rig(settings=SenderSettings(queue_max_bytes=16))
    rig.destination.build_error = ConfigError("AWS_ACCESS_KEY_ID", "not set", "give the function a role")
    with rig.running():
        rig.offer(1, 1)
        rig.exporter.request_flush()
        while rig.exporter.is_up:
            rig.exporter.wait_drained(rig.soon)
        rig.offer(2, 4)
        counts = rig.counts()
        assert (counts.held, counts.dropped) == (2, {"queue_full": 2})
        rig.exporter.close(rig.soon)
        assert rig.counts().dropped == {"queue_full": 2, "shutdown": 2}
    assert "AWS_ACCESS_KEY_ID: not set" in str(rig.told.lines[0][2]["reason"])


def test_a_fault_in_a_destination_s_code_stops_neither_its_thread_nor_the_worker() -> None:
    class Faulty(FakeDestination):
        def encode_record(self, record: object, resource: object) -> bytes:
            raise KeyError("secret")

    faulty = Rig(Faulty())
    faulty.offer(1, 1)
    assert faulty.counts().dropped == {"internal_error": 1}
    rig = Rig()
    rig.destination.build_error = KeyError("secret")
    with rig.running():
        rig.offer(1, 1)
        rig.exporter.close(rig.soon)
        assert rig.counts().dropped == {"shutdown": 1}
    assert "secret" not in str(faulty.told.lines + rig.told.lines)


def test_a_reply_that_its_destination_cannot_read_to_the_end_leaves_the_outcome_unknown() -> None:
    class ReadsBodies(FakeDestination):
        def classify(self, reply: Reply) -> Outcome:
            if not reply.is_whole:
                raise NoReplyError("reply broke off")
            return super().classify(reply)

    class BreaksOffOnce(FakeTransport):
        def send(self, request: Request, timeout_s: float, on_written: Callable[[], None] | None = None) -> Reply:
            reply = super().send(request, timeout_s, on_written)
            reply.is_whole = len(self.sent) > 1
            return reply

    rig = Rig(ReadsBodies(idempotent=False), BreaksOffOnce())
    with rig.running():
        rig.offer(1, 2)
        rig.exporter.close(rig.soon)
        assert rig.transport.lines == lines(1, 2) * 2
        assert (rig.counts().delivered, rig.counts().resent_unconfirmed) == (2, 2)


def test_a_record_s_time_reaches_the_batch_only_when_it_is_one() -> None:
    seen: list[str] = []

    class Watching(FakeDestination):
        def build_request(self, batch: Batch, resource: Resource, wall_s: float) -> Request:
            seen.append(batch.start)
            return super().build_request(batch, resource, wall_s)

    rig = Rig(Watching(limits=FakeLimits(max_records=1)))
    with rig.running():
        rig.exporter.offer([record(1, time="2026-11-20T21:00:00Z")])
        rig.exporter.offer([record(2, time="../../../etc/passwd")])
        assert rig.exporter.wait_drained(rig.soon)
    assert seen == ["2026-11-20T21:00:00.000Z", "2023-11-14T22:13:20.000Z"]


# -- many destinations


def two(ledger: Ledger) -> tuple[Rig, Rig, Fanout]:
    one, other = (Rig(FakeDestination(name), ledger=ledger) for name in ("fake://one", "fake://other"))
    return one, other, Fanout([one.exporter, other.exporter], ledger, one.clock)


def test_a_slow_destination_does_not_delay_another() -> None:
    slow, quick, fanout = two(Ledger())
    slow.transport.gate.clear()
    with slow.running(), quick.running():
        for n in (1, 2):
            fanout.offer([record(n)])
        fanout.request_flush()
        assert quick.exporter.wait_drained(quick.soon)
        assert (quick.counts().delivered, slow.counts().held) == (2, 2)
        slow.transport.gate.set()
        assert fanout.wait_drained(slow.soon)


def test_a_wait_for_all_asks_each_and_says_whether_one_is_up() -> None:
    dead, well, fanout = two(Ledger())
    dead.transport.gate.clear()
    with dead.running(), well.running():
        fanout.offer([record(1)])
        fanout.request_flush()
        assert well.exporter.wait_drained(well.soon)
        assert not fanout.wait_drained(dead.clock.monotonic_s())
        assert (dead.exporter.is_up, well.exporter.is_up, fanout.any_up) == (False, True, True)


def test_what_no_destination_gets_is_booked_for_each() -> None:
    one, other, fanout = two(Ledger())
    fanout.filter(2)
    fanout.drop(1, "unparsable")
    for rig in (one, other):
        counts = rig.counts()
        assert (counts.received, counts.filtered, counts.dropped) == (3, 2, {"unparsable": 1})


def test_without_destinations_every_record_is_counted_as_dropped_for_that() -> None:
    ledger = Ledger()
    fanout = Fanout([], ledger, ManualClock())
    fanout.offer([record(1)])
    fanout.filter()
    fanout.request_flush()
    assert fanout.wait_drained(0.0)
    assert not fanout.any_up
    fanout.close(0.0)
    counts = ledger.snapshot()["none"]
    assert (counts.received, counts.filtered, counts.dropped) == (2, 1, {"no_destination": 1})
    assert counts.received == counts.accounted


def test_a_destination_that_cannot_be_built_counts_what_it_misses_and_stops_no_other() -> None:
    ledger = Ledger()
    rig = Rig(ledger=ledger)
    row = ledger.open_row("TAILRACE_DESTINATIONS, second entry")
    fanout = Fanout([rig.exporter], ledger, rig.clock, [row])
    fanout.offer([record(1)])
    fanout.filter()
    assert rig.counts().held == 1
    counts = row.snapshot()
    assert (counts.received, counts.filtered, counts.dropped) == (2, 1, {"bad_configuration": 1})
    assert "none" not in ledger.snapshot()


def test_closing_all_gives_each_the_whole_time() -> None:
    ledger = Ledger()
    one, _, fanout = two(ledger)
    threads: list[threading.Thread] = []
    fanout.start(lambda run: threads.append(start(run)))
    fanout.offer([record(1)])
    fanout.close(one.soon)
    assert [row.delivered for row in ledger.snapshot().values()] == [1, 1]
    for thread in threads:
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def test_the_exporter_s_row_names_it() -> None:
    ledger = Ledger()
    rigs = [Rig(ledger=ledger), Rig(ledger=ledger)]
    assert [r.exporter.name for r in rigs] == ["fake://one", "fake://one#2"]
    assert isinstance(rigs[0].exporter, Exporter)


@pytest.mark.parametrize("status", [400, 413])
def test_a_single_record_that_is_not_taken_is_rejected(status: int) -> None:
    rig = Rig(transport=FakeTransport([status]))
    with rig.running():
        rig.offer(1, 1)
        rig.exporter.request_flush()
        assert rig.exporter.wait_drained(rig.soon)
        assert rig.counts().rejected == 1
