"""Waiting for the wire and for replies: what a flush promises, and what it does not pay for."""

from __future__ import annotations

import threading

from support.pipeline_fakes import LIMIT_S, FakeDestination, FakeLimits, FakeTransport, Rig
from tailrace.clock import ManualClock, SystemClock
from tailrace.errors import ConnectError
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.ledger import Ledger


def begin(rig: Rig) -> None:
    rig.offer(1, 1)
    rig.exporter.request_flush()
    assert rig.transport.entered.wait(LIMIT_S)


def test_what_is_on_the_wire_need_not_be_answered() -> None:
    rig = Rig(clock=SystemClock())
    rig.transport.gate.clear()
    with rig.running():
        begin(rig)
        assert rig.exporter.wait_written(rig.soon)
        assert (rig.counts().delivered, rig.exporter.is_up) == (0, True)
        rig.transport.gate.set()
        assert rig.exporter.wait_answered(rig.soon)


def test_what_does_not_get_on_the_wire_in_time_counts_as_down_only_where_the_wait_was_a_full_one() -> None:
    rig = Rig(clock=SystemClock())
    rig.transport.writes = False
    rig.transport.gate.clear()
    with rig.running():
        begin(rig)
        assert not rig.exporter.wait_written(rig.clock.monotonic_s() + 0.01)
        was_up = rig.exporter.is_up
        assert was_up
        assert not rig.exporter.wait_written(rig.clock.monotonic_s() + 0.01, full=True)
        was_up = rig.exporter.is_up
        assert not was_up
        assert not rig.exporter.wait_written(rig.soon, full=True)  # at once: nothing waits for who is down


def test_while_the_wire_is_taken_by_a_slow_reply_the_rest_goes_over_a_second_connection() -> None:
    second = FakeTransport()
    rig = Rig(FakeDestination(limits=FakeLimits(max_records=1)), clock=SystemClock(), express=lambda: second)
    rig.transport.gate.clear()
    threads: list[threading.Thread] = []

    def spawn(run: object) -> None:
        assert callable(run)
        threads.append(threading.Thread(target=run))
        threads[-1].start()

    rig.exporter.start(spawn)
    begin(rig)
    assert rig.exporter.wait_written(rig.soon)
    rig.offer(2, 3)
    rig.exporter.request_flush()
    assert len(threads) == 1  # nobody waited yet
    assert rig.exporter.wait_written(rig.soon)
    assert len(threads) == 2
    assert second.lines == [b'"line 2"', b'"line 3"']
    rig.transport.gate.set()
    assert rig.exporter.wait_drained(rig.soon)
    rig.exporter.close(rig.soon)
    for thread in threads:
        thread.join(LIMIT_S)
        assert not thread.is_alive()
    assert rig.transport.closed
    assert second.closed
    assert rig.counts().delivered == 3


def test_a_destination_is_warm_once_it_has_answered_and_cold_after_a_failure_or_a_long_freeze() -> None:
    rig = Rig(clock=SystemClock())
    with rig.running():
        was_warm = [rig.exporter.is_warm]  # nothing was ever sent
        rig.transport.gate.clear()
        begin(rig)
        was_warm.append(rig.exporter.is_warm)
        rig.transport.gate.set()
        assert rig.exporter.wait_drained(rig.soon)
        was_warm.append(rig.exporter.is_warm)
        rig.exporter.thawed()
        was_warm.append(rig.exporter.is_warm)
        assert was_warm == [True, False, True, False]
        rig.offer(2, 2)
        rig.exporter.request_flush()
        assert rig.exporter.wait_drained(rig.soon)
        assert rig.transport.closed  # what idled through the freeze is not used again
        assert rig.exporter.is_warm
        rig.transport.script = [ConnectError("refused")]
        rig.offer(3, 3)
        rig.exporter.request_flush()
        while rig.counts().held:
            rig.exporter.wait_answered(rig.soon)


def test_a_glance_is_given_only_to_replies_that_usually_come_so_soon() -> None:
    clock = ManualClock()
    rig = Rig(clock=clock)
    assert rig.exporter.answers_within(0.005)  # not known yet

    class Slow(FakeTransport):
        def send(self, *arguments: object) -> object:  # type: ignore[override] # passes everything on
            clock.advance(0.05)
            return super().send(*arguments)  # type: ignore[arg-type]

    slow = Rig(clock=clock, transport=Slow())
    with slow.running():
        slow.offer(1, 1)
        slow.exporter.request_flush()
        assert slow.exporter.wait_drained(slow.soon)
        assert not slow.exporter.answers_within(0.005)
        assert slow.exporter.answers_within(0.06)


def test_a_flush_waits_in_full_for_the_cold_and_for_the_wire_of_the_warm() -> None:
    clock, ledger = SystemClock(), Ledger()
    warm, cold = (
        Rig(FakeDestination("a"), ledger=ledger, clock=clock),
        Rig(FakeDestination("b"), ledger=ledger, clock=clock),
    )
    fanout = Fanout([warm.exporter, cold.exporter], ledger, clock)
    with warm.running(), cold.running():
        warm.offer(1, 1)
        warm.exporter.request_flush()
        assert warm.exporter.wait_drained(warm.soon)
        warm.transport.entered.clear()
        warm.transport.gate.clear()
        warm.offer(2, 2)
        cold.offer(2, 2)
        fanout.request_flush()
        assert warm.transport.entered.wait(LIMIT_S)
        assert fanout.wait_flushed(warm.soon, warm.soon, 0.0, full=True)
        assert (warm.counts().held, cold.counts().held) == (1, 0)
        assert fanout.any_up
