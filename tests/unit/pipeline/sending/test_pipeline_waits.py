"""Several destinations are waited for at once, and who is slow is told from who is dead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from support.pipeline_fakes import LIMIT_S, FakeDestination, FakeLimits, FakeTransport, Rig
from tailrace.clock import SystemClock
from tailrace.errors import NoReplyError
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.sending.settings import SenderSettings

SHORT_S = 0.1
CLOCK = SystemClock()


class Threads:
    """Starts threads, of which there may be none to be had."""

    def __init__(self) -> None:
        self.started: list[threading.Thread] = []
        self.are_out = False

    def spawn(self, run: Callable[[], None]) -> None:
        if self.are_out:
            raise RuntimeError("can't start new thread")
        self.started.append(threading.Thread(target=run))
        self.started[-1].start()


class World:
    """Destinations that take one record a request; each makes further connections, which share its gate."""

    def __init__(self, *names: str, ledger: Ledger | None = None) -> None:
        ledger = ledger or Ledger()
        self.threads = Threads()
        self.more: dict[str, list[FakeTransport]] = {name: [] for name in names}
        self.rigs = {name: self._rig(name, ledger) for name in names}
        self.fanout = Fanout([rig.exporter for rig in self.rigs.values()], ledger, CLOCK)
        self._last = 0

    def _rig(self, name: str, ledger: Ledger) -> Rig:
        def express() -> FakeTransport:
            one = FakeTransport()
            first = self.rigs[name].transport
            one.gate, one.writes = first.gate, first.writes
            self.more[name].append(one)
            return one

        destination = FakeDestination(name, limits=FakeLimits(max_records=1))
        settings = SenderSettings(wait_cap_s=SHORT_S)
        return Rig(destination, ledger=ledger, clock=CLOCK, settings=settings, express=express)

    @contextmanager
    def running(self) -> Iterator[None]:
        self.fanout.start(self.threads.spawn)
        try:
            yield
        finally:
            for rig in self.rigs.values():
                rig.transport.gate.set()
            self.threads.are_out = False
            self.fanout.close(CLOCK.monotonic_s() + LIMIT_S)
            for thread in self.threads.started:
                thread.join(LIMIT_S)
                assert not thread.is_alive()

    def offer(self, *names: str) -> None:
        self._last += 1
        for name in names or self.rigs:
            self.rigs[name].offer(self._last, self._last)
        self.fanout.request_flush()

    def flush(self, *names: str, for_s: float = LIMIT_S, glance_s: float | None = 0.0, full: bool = True) -> bool:
        """A record for each, and a flush as at the end of an invocation."""
        self.offer(*names)
        until_s = CLOCK.monotonic_s() + for_s
        return self.fanout.wait_flushed(until_s, until_s, glance_s, full)


def close_gate(rig: Rig) -> None:
    rig.transport.gate.clear()
    rig.transport.entered.clear()


def test_one_that_cannot_write_keeps_nothing_of_another_from_the_wire() -> None:
    world = World("stuck", "slow")
    stuck, slow = world.rigs.values()
    with world.running():
        assert world.flush()
        stuck.transport.writes = False
        for rig in (stuck, slow):
            close_gate(rig)
        world.offer()
        for rig in (stuck, slow):
            assert rig.transport.entered.wait(LIMIT_S)
        assert not world.flush(for_s=SHORT_S)
        assert [one.entered.is_set() for one in world.more["slow"]] == [True]
        assert (stuck.exporter.is_up, slow.exporter.is_up) == (False, True)


def test_one_that_is_cold_and_silent_keeps_nothing_of_another_from_the_wire() -> None:
    world = World("silent", "slow")
    silent, slow = world.rigs.values()
    with world.running():
        assert world.flush("slow")
        for rig in (silent, slow):
            close_gate(rig)
        silent.transport.writes = False
        world.offer("slow")
        assert slow.transport.entered.wait(LIMIT_S)
        assert not world.flush(for_s=SHORT_S)
        assert [one.entered.is_set() for one in world.more["slow"]] == [True]


def test_two_that_need_the_same_time_are_waited_for_at_once_and_neither_counts_as_down() -> None:
    world = World("one", "other")
    one, other = world.rigs.values()
    with world.running():
        for rig in (one, other):
            close_gate(rig)
        world.offer()
        for rig in (one, other):
            assert rig.transport.entered.wait(LIMIT_S)
        other.transport.gate.set()
        assert other.exporter.wait_drained(CLOCK.monotonic_s() + LIMIT_S)
        until_s = CLOCK.monotonic_s() + SHORT_S / 2
        assert not world.fanout.wait_drained(until_s)
        assert (one.exporter.is_up, other.exporter.is_up) == (False, True)


def test_where_no_further_thread_is_to_be_had_the_wait_goes_on_without_and_the_end_waits_for_none() -> None:
    world = World("one")
    (rig,) = world.rigs.values()
    with world.running():
        assert world.flush()
        close_gate(rig)
        world.offer()
        assert rig.transport.entered.wait(LIMIT_S)
        world.threads.are_out = True
        for _ in range(3):
            world.offer()
            assert not world.fanout.wait_written(CLOCK.monotonic_s() + SHORT_S / 4)
        world.threads.are_out = False
        world.offer()
        world.fanout.wait_written(CLOCK.monotonic_s() + SHORT_S / 4)
        assert len(world.threads.started) == 2  # one more, when it is to be had
        rig.transport.gate.set()
        world.fanout.close(CLOCK.monotonic_s() + LIMIT_S)
        for thread in world.threads.started:
            thread.join(LIMIT_S / 4)
            assert not thread.is_alive()
        assert rig.counts().delivered == 6


def test_without_a_single_thread_the_end_does_not_wait_for_one() -> None:
    world = World("one")
    (rig,) = world.rigs.values()
    world.threads.are_out = True
    world.fanout.start(world.threads.spawn)
    world.offer()
    rig.exporter.begin_close(CLOCK.monotonic_s() + LIMIT_S)
    assert rig.exporter.wait_left(CLOCK.monotonic_s())
    rig.exporter.finish_close(CLOCK.monotonic_s() + LIMIT_S)
    assert rig.counts().dropped == {"shutdown": 1}


def test_the_next_flush_asks_again_for_the_first_thread() -> None:
    world = World("one")
    (rig,) = world.rigs.values()
    world.threads.are_out = True
    with world.running():
        assert [(level, fields["destination"]) for level, _, fields in rig.told.lines] == [("error", "one")]
        world.offer()
        world.threads.are_out = False
        assert world.flush()
        assert rig.counts().delivered == 2
        assert len(world.threads.started) == 1


def test_who_has_everything_on_its_wire_and_answers_after_the_cap_is_not_down() -> None:
    world = World("slow")
    (rig,) = world.rigs.values()
    with world.running():
        rig.transport.gate.clear()
        assert not world.flush(for_s=SHORT_S)
        assert (rig.exporter.is_up, world.fanout.any_up, rig.exporter.is_warm) == (True, True, False)
        assert world.flush()  # over another connection, and its reply is not waited for
        assert world.flush(glance_s=0.005)
        assert len(world.more["slow"]) == 2
        assert rig.told.lines == []
        rig.transport.gate.set()
        assert rig.exporter.wait_drained(CLOCK.monotonic_s() + LIMIT_S)
        assert rig.exporter.is_warm
        assert rig.counts().delivered == 3
        assert rig.told.lines == []


def test_replies_that_come_one_after_the_other_are_no_failure_while_they_come() -> None:
    world = World("slow")
    (rig,) = world.rigs.values()
    with world.running():
        rig.transport.gate.clear()
        world.offer()
        assert rig.transport.entered.wait(LIMIT_S)
        assert not world.flush(for_s=SHORT_S)  # the second one goes over another connection, even the first time
        assert [len(world.more["slow"]), rig.exporter.is_up] == [1, True]


def test_who_never_answers_is_waited_for_once_and_not_at_all_once_all_its_connections_are_taken() -> None:
    world = World("dead")
    (rig,) = world.rigs.values()
    with world.running():
        rig.transport.gate.clear()
        assert not world.flush(for_s=SHORT_S)
        for _ in range(3):
            assert world.flush()
        assert not world.fanout.any_up
        assert not world.flush()  # would take the whole test's time if it waited
        assert rig.told.lines == []
        rig.transport.gate.set()
        assert rig.exporter.wait_drained(CLOCK.monotonic_s() + LIMIT_S)
        assert world.fanout.any_up


def test_who_was_unproven_is_down_when_its_attempt_ends_without_a_reply() -> None:
    world = World("dead")
    (rig,) = world.rigs.values()
    with world.running():
        rig.transport.gate.clear()
        assert not world.flush(for_s=SHORT_S)
        rig.transport.always = NoReplyError("no reply in time")
        rig.transport.gate.set()
        while rig.exporter.is_up:
            rig.exporter.wait_drained(CLOCK.monotonic_s() + SHORT_S, full=False)
        assert [level for level, *_ in rig.told.lines] == ["warn"]
        assert not world.flush()  # at once
        rig.transport.always = None


@pytest.mark.parametrize(("writes", "glance_s"), [(False, 0.0), (True, None)])
def test_who_is_not_on_the_wire_or_owes_a_reply_that_is_asked_for_is_down(writes: bool, glance_s: float | None) -> None:
    world = World("dead")
    (rig,) = world.rigs.values()
    with world.running():
        rig.transport.writes = writes
        rig.transport.gate.clear()
        assert not world.flush(for_s=SHORT_S, glance_s=glance_s)
        assert (rig.exporter.is_up, world.fanout.any_up) == (False, False)


def test_waits_that_are_cut_short_leave_it_unproven_only_together() -> None:
    world = World("dead")
    (rig,) = world.rigs.values()
    with world.running():
        rig.transport.gate.clear()
        assert not world.flush(for_s=SHORT_S / 2, full=False)
        reply_wait_s = SHORT_S / 2
        assert not rig.exporter.takes_the_wire_for_it(reply_wait_s)
        assert not world.flush(for_s=SHORT_S * 0.9, full=False)
        assert rig.exporter.takes_the_wire_for_it(reply_wait_s)
        assert rig.exporter.is_up


def test_after_a_long_freeze_the_reply_of_one_that_is_known_to_be_slower_is_not_waited_for() -> None:
    world = World("slow")
    (rig,) = world.rigs.values()
    with world.running():
        rig.transport.gate.clear()
        assert not world.flush(for_s=SHORT_S)
        rig.transport.gate.set()
        assert rig.exporter.wait_drained(CLOCK.monotonic_s() + LIMIT_S)
        rig.transport.gate.clear()
        rig.exporter.thawed()
        assert rig.exporter.takes_the_wire_for_it(SHORT_S / 2)
        assert not rig.exporter.takes_the_wire_for_it(LIMIT_S)
