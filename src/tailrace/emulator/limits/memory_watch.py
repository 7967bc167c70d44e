"""When the memory of an environment is looked at, and what the machine is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tailrace.emulator.machine import facts

_GLANCE_PERIOD_S = 0.01
_LOOK_PERIOD_S = 0.1
"""A glance costs next to nothing and cannot miss an excess, though it may see one where there is none: then a look
follows, which is exact and dear. A young process is looked at sooner: it may end before its first request."""

_WORK_IS_DONE = ("/response", "/error", "/event/next")
"""Ends of paths that are requested when work is done: memory is at its peak just before."""


class Measured(Protocol):
    """What the watch needs of the sandbox."""

    def measure_memory(self, *, rescan: bool = True) -> int: ...

    @property
    def held_memory(self) -> int: ...

    @property
    def resident_memory(self) -> int: ...

    @property
    def is_empty(self) -> bool: ...


class Limits(Protocol):
    """What the watch needs of the environment's resources."""

    def may_be_exceeded(self, resident_bytes: int) -> bool: ...

    def is_exceeded(self, held_bytes: int) -> bool: ...


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """What the watch needs of an event loop."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer: ...


class MemoryWatch:
    """Watches from the first process until `stop`, except while everything is frozen. At requests it tells only what
    is more than was told since the last process started: the machine wants the peak."""

    def __init__(
        self, measured: Measured, limits: Limits, feed: Callable[[facts.Fact], None], clock: Clock | None = None
    ) -> None:
        self._measured = measured
        self._limits = limits
        self._feed = feed
        self._clock: Clock = clock or asyncio.get_running_loop()
        self._timer: Timer | None = None
        self._is_frozen = False
        self._look_in_s = _GLANCE_PERIOD_S
        self._look_at_s = 0.0
        self._told_bytes = 0

    def process_started(self) -> None:
        self._told_bytes = 0
        self._look_in_s = _GLANCE_PERIOD_S
        self._look_at_s = self._clock.time() + self._look_in_s
        self._glance_soon()

    def froze(self) -> None:
        self._is_frozen = True

    def thawed(self) -> None:
        self._is_frozen = False
        self._glance_soon()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def request_came(self, path: str) -> None:
        """A process asks the in-sandbox API for something."""
        if path.endswith(_WORK_IS_DONE):
            # an extension may ask for its next event before what was just killed has ended: that is no second excess
            self._look(rescan=False, is_judged=not path.endswith("/event/next"))

    def _glance_soon(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_later(_GLANCE_PERIOD_S, self._glance)

    def _glance(self) -> None:
        self._timer = None
        if self._is_frozen or self._measured.is_empty:
            return
        now_s = self._clock.time()
        if now_s >= self._look_at_s or self._limits.may_be_exceeded(self._measured.resident_memory):
            self._look_in_s = min(self._look_in_s * 2, _LOOK_PERIOD_S)
            self._look_at_s = now_s + self._look_in_s
            self._look(rescan=True, is_judged=True)
        self._glance_soon()

    def _look(self, *, rescan: bool, is_judged: bool) -> None:
        n_bytes = self._measured.measure_memory(rescan=rescan)
        if rescan or n_bytes > self._told_bytes:
            self._told_bytes = n_bytes
            self._feed(facts.MemoryMeasured(n_bytes))
        if is_judged and self._limits.is_exceeded(self._measured.held_memory):
            self._feed(facts.MemoryLimitExceeded(n_bytes, killed_by_kernel=False))
