"""Time. Policies are handed `now`; only the shells hold a `Clock`, and only `SystemClock` reads one."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Clock(Protocol):
        """Two readings: one to measure with, one to write down."""

        def monotonic_s(self) -> float:
            """Seconds that never go back; the origin means nothing."""

        def wall_s(self) -> float:
            """Seconds since 1970-01-01 UTC."""


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return time.time()


class ManualClock:
    """A clock that stands until it is advanced. For tests and replays."""

    __slots__ = ("_monotonic_s", "_wall_s")

    def __init__(self, wall_s: float = 1_700_000_000.0, monotonic_s: float = 1000.0) -> None:
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def wall_s(self) -> float:
        return self._wall_s

    def advance(self, seconds: float) -> None:
        """Move both readings on. Raises `ValueError` when asked to go back."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._wall_s += seconds
        self._monotonic_s += seconds


def rfc3339_ms(wall_s: float) -> str:
    """`wall_s` as RFC 3339 in UTC with milliseconds, as telemetry events write it: ``2026-01-02T03:04:05.678Z``."""
    total_ms = int(wall_s * 1000 + 1e-6)
    seconds, ms = divmod(total_ms, 1000)
    t = time.gmtime(seconds)
    return f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}T{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}.{ms:03}Z"
