from __future__ import annotations

from collections.abc import Callable

import pytest

from tailrace.emulator.limits.memory_watch import MemoryWatch
from tailrace.emulator.machine import facts


class FakeTimer:
    def __init__(self, at_s: float, callback: Callable[[], None]) -> None:
        self.at_s = at_s
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeClock:
    def __init__(self) -> None:
        self._now_s = 1000.0
        self._timers: list[FakeTimer] = []

    def time(self) -> float:
        return self._now_s

    def call_later(self, delay: float, callback: Callable[[], None], /) -> FakeTimer:
        timer = FakeTimer(self._now_s + delay, callback)
        self._timers.append(timer)
        return timer

    def pass_s(self, seconds: float) -> None:
        end_s = self._now_s + seconds
        while due := [timer for timer in self.pending if timer.at_s <= end_s]:
            first = min(due, key=lambda timer: timer.at_s)
            self._timers.remove(first)
            self._now_s = first.at_s
            first.callback()
        self._now_s = end_s

    @property
    def pending(self) -> list[FakeTimer]:
        return [timer for timer in self._timers if not timer.is_cancelled]


class Processes:
    """Processes that use so much, and limits that stand at 100."""

    def __init__(self) -> None:
        self.n_bytes = 10
        self.held_memory = 5
        self.resident_memory = 20
        self.is_empty = False
        self.looks: list[bool] = []

    def measure_memory(self, *, rescan: bool = True) -> int:
        self.looks.append(rescan)
        return self.n_bytes

    def may_be_exceeded(self, resident_bytes: int) -> bool:
        return resident_bytes > 100

    def is_exceeded(self, held_bytes: int) -> bool:
        return held_bytes > 100


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.processes = Processes()
        self.told: list[facts.Fact] = []
        self.watch = MemoryWatch(self.processes, self.processes, self.told.append, self.clock)


@pytest.fixture
def world() -> World:
    return World()


def test_a_young_process_is_measured_soon_and_then_ever_more_rarely(world: World) -> None:
    world.watch.process_started()
    assert world.told == []
    world.clock.pass_s(0.015)
    assert world.told == [facts.MemoryMeasured(10)]
    world.clock.pass_s(0.2)
    looks = world.processes.looks
    assert 3 <= len(looks) <= 5
    n_before = len(looks)
    world.clock.pass_s(1.0)
    assert 8 <= len(looks) - n_before <= 11
    assert set(looks) == {True}
    world.watch.process_started()
    n_before = len(looks)
    world.clock.pass_s(0.025)
    assert len(looks) == n_before + 1


def test_at_requests_only_what_is_more_than_before_is_told_until_another_process_starts(world: World) -> None:
    world.watch.process_started()
    for n_bytes in (10, 30, 20):
        world.processes.n_bytes = n_bytes
        world.watch.request_came("/2018-06-01/runtime/invocation/1/response")
    assert world.told == [facts.MemoryMeasured(10), facts.MemoryMeasured(30)]
    world.watch.process_started()
    world.watch.request_came("/2018-06-01/runtime/invocation/1/response")
    assert world.told[2:] == [facts.MemoryMeasured(20)]


def test_an_excess_is_told_with_what_was_measured(world: World) -> None:
    world.processes.n_bytes, world.processes.held_memory = 140, 120
    world.watch.process_started()
    world.clock.pass_s(0.015)
    assert world.told == [facts.MemoryMeasured(140), facts.MemoryLimitExceeded(140, killed_by_kernel=False)]


def test_a_burst_is_looked_at_within_the_next_glance(world: World) -> None:
    world.watch.process_started()
    world.clock.pass_s(0.5)
    n_before = len(world.told)
    world.processes.resident_memory = world.processes.held_memory = world.processes.n_bytes = 150
    world.clock.pass_s(0.0101)
    assert world.told[n_before:] == [
        facts.MemoryMeasured(150),
        facts.MemoryLimitExceeded(150, killed_by_kernel=False),
    ]


def test_much_resident_memory_that_is_not_held_is_looked_at_and_no_excess(world: World) -> None:
    world.processes.resident_memory = 150  # mapped files, for example
    world.watch.process_started()
    world.clock.pass_s(0.1)
    assert len(world.told) >= 8
    assert set(world.told) == {facts.MemoryMeasured(10)}


@pytest.mark.parametrize(
    ("path", "n_looks", "is_judged"),
    [
        ("/2018-06-01/runtime/invocation/1/response", 1, True),
        ("/2018-06-01/runtime/invocation/1/error", 1, True),
        ("/2020-01-01/extension/event/next", 1, False),
        ("/2018-06-01/runtime/invocation/next", 0, False),
    ],
)
def test_requests_that_end_work_are_looked_at_without_a_search_for_new_processes(
    world: World, path: str, n_looks: int, is_judged: bool
) -> None:
    world.processes.held_memory = 120
    world.watch.request_came(path)
    assert world.processes.looks == [False] * n_looks
    kinds = [facts.MemoryMeasured] * n_looks + [facts.MemoryLimitExceeded] * is_judged
    assert [type(fact) for fact in world.told] == kinds


def test_while_frozen_nothing_is_looked_at_and_nobody_is_woken(world: World) -> None:
    world.watch.process_started()
    world.watch.froze()
    world.clock.pass_s(10)
    assert world.told == []
    assert world.clock.pending == []
    world.watch.thawed()
    world.clock.pass_s(0.015)
    assert len(world.told) == 1


def test_invocations_that_are_shorter_than_a_glance_do_not_keep_looks_away(world: World) -> None:
    world.watch.process_started()
    for _ in range(100):
        world.watch.froze()
        world.watch.thawed()
        world.clock.pass_s(0.003)
    assert len(world.processes.looks) >= 4


def test_when_all_have_ended_the_watch_rests_until_a_process_is_started(world: World) -> None:
    world.watch.process_started()
    world.processes.is_empty = True
    world.clock.pass_s(10)
    assert world.told == []
    assert world.clock.pending == []
    world.processes.is_empty = False
    world.watch.process_started()
    world.clock.pass_s(0.015)
    assert len(world.told) == 1


def test_after_the_end_nothing_is_pending(world: World) -> None:
    world.watch.process_started()
    world.watch.stop()
    assert world.clock.pending == []
