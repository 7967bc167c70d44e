"""The emulator's clock: wall time at the start plus what the monotonic clock counted since."""

from __future__ import annotations

import time


class SteadyClock:
    """Nanoseconds since 1970 that never go back, whatever happens to the host's wall clock meanwhile.

    Deadlines handed to extensions and time stamps of telemetry come from one reading, so they always agree.
    """

    __slots__ = ("_offset_ns",)

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def __call__(self) -> int:
        return time.monotonic_ns() + self._offset_ns
