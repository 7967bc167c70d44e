"""Trying again what may pass, and saying so: whoever waits should know for what."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from tailrace.pipeline.sending.retry import Backoff

MAX_ATTEMPTS = 5
_BACKOFF = Backoff(base_s=0.5, max_s=10.0, retry_after_max_s=120.0)


class Patience:
    """Pauses between attempts. `sleep` waits so many seconds, `draw` is random from 0 up to 1, `tell` gets a sentence
    for each attempt that failed and is not the last."""

    def __init__(
        self,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
        tell: Callable[[str], object] | None = None,
    ) -> None:
        self._sleep = sleep
        self._draw = draw
        self._tell = tell

    def wait(self, attempt: int, failure: str, retry_after_s: float | None = None) -> None:
        """After the `attempt`-th attempt (the first is 1), until it is time for the next."""
        delay_s = _BACKOFF.delay_s(attempt, self._draw(), retry_after_s)
        if self._tell is not None:
            self._tell(f"{failure} (attempt {attempt} of {MAX_ATTEMPTS}), the next in {delay_s:.1f} s")
        self._sleep(delay_s)
