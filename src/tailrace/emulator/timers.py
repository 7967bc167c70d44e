"""Named timers on the event loop that never fire early by the emulator's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """`fire` is called with a timer's name when its time has come."""

    def __init__(self, now_ns: Callable[[], int], fire: Callable[[str], None]) -> None:
        self._now_ns = now_ns
        self._fire = fire
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def set(self, name: str, at_ns: int) -> None:
        """Fire at `at_ns`; a timer of the same name is replaced."""
        self.cancel(name)
        delay_s = max(0, at_ns - self._now_ns()) / 1e9
        self._handles[name] = asyncio.get_running_loop().call_later(delay_s, self._due, name, at_ns)

    def cancel(self, name: str) -> None:
        handle = self._handles.pop(name, None)
        if handle is not None:
            handle.cancel()

    def clear(self) -> None:
        for name in list(self._handles):
            self.cancel(name)

    def _due(self, name: str, at_ns: int) -> None:
        if self._now_ns() < at_ns:  # event loops round to their own resolution
            self.set(name, at_ns)
            return
        del self._handles[name]
        self._fire(name)
