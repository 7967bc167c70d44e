"""How long to wait before the next attempt. Pure: the draw is passed in."""

from __future__ import annotations

_MAX_DOUBLINGS = 30


class Backoff:
    """Exponential with full jitter: anything from zero up to a ceiling that doubles with every failure.

    What the destination asks for (`retry_after_s`) is the least that is waited, up to `retry_after_max_s`.
    """

    __slots__ = ("base_s", "max_s", "retry_after_max_s")

    def __init__(self, base_s: float = 0.1, max_s: float = 30.0, retry_after_max_s: float = 300.0) -> None:
        self.base_s = base_s
        self.max_s = max_s
        self.retry_after_max_s = retry_after_max_s

    def delay_s(self, failures: int, draw: float, retry_after_s: float | None = None) -> float:
        """Seconds to wait after the `failures`-th failure in a row; `draw` is from 0 up to 1."""
        doublings = min(max(failures - 1, 0), _MAX_DOUBLINGS)
        delay_s = draw * min(self.max_s, self.base_s * 2.0**doublings)
        if retry_after_s is not None and retry_after_s > delay_s:
            return min(retry_after_s, self.retry_after_max_s)
        return delay_s
