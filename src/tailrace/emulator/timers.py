"""Named timers on the event loop that never fire early by the emulator's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """`fire` is called with a timer's name when its time has come.

    Most timers are cancelled before: deadlines of invocations, above all. So the loop knows of one time at most, the
    earliest that was asked for, and to set or cancel a later one costs nothing there.
    """

    def __init__(self, now_ns: Callable[[], int], fire: Callable[[str], None]) -> None:
        self._now_ns = now_ns
        self._fire = fire
        self._loop = asyncio.get_running_loop()
        self._at_ns: dict[str, int] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._wakes_at_ns = 0

    def set(self, name: str, at_ns: int) -> None:
        """Fire at `at_ns`; a timer of the same name is replaced."""
        self._at_ns[name] = at_ns
        if self._handle is None or at_ns < self._wakes_at_ns:
            self._wake_at(at_ns)

    def cancel(self, name: str) -> None:
        self._at_ns.pop(name, None)

    def clear(self) -> None:
        self._at_ns.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _wake_at(self, at_ns: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._wakes_at_ns = at_ns
        self._handle = self._loop.call_later(max(0, at_ns - self._now_ns()) / 1e9, self._wake)

    def _wake(self) -> None:
        """Fire what is due, in the order of time; event loops round to their own resolution, so it may be nothing."""
        self._handle = None
        now_ns = self._now_ns()
        for name, at_ns in sorted(self._at_ns.items(), key=lambda item: item[1]):
            if at_ns > now_ns:
                break
            if self._at_ns.get(name) == at_ns:  # one that fired before may have cancelled or replaced this one
                del self._at_ns[name]
                self._fire(name)
        if self._at_ns:
            self._wake_at(min(self._at_ns.values()))
