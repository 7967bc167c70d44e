"""The bounds of one destination's sender."""

from __future__ import annotations

from tailrace.pipeline.sending.breaker import Breaker
from tailrace.pipeline.sending.retry import Backoff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class SenderSettings:
    """Bounds of one sender. Seconds and bytes as the names say.

    `queue_max_bytes` bounds what waits, is on its way and is being batched, together: a destination that is down
    cannot make memory grow. `batch_max_age_s` replaces the destination's own. `wait_cap_s` is the most that invocations
    wait for it, all together, while it does not answer. `breaker` makes one.
    """

    __slots__ = (
        "attempt_timeout_s",
        "backoff",
        "batch_max_age_s",
        "breaker",
        "closing_backoff",
        "queue_max_bytes",
        "slow_retry_s",
        "wait_cap_s",
    )

    def __init__(
        self,
        queue_max_bytes: int = 8_388_608,
        batch_max_age_s: float | None = None,
        attempt_timeout_s: float = 5.0,
        slow_retry_s: float = 30.0,
        backoff: Backoff | None = None,
        closing_backoff: Backoff | None = None,
        breaker: Callable[[], Breaker] = Breaker,
        wait_cap_s: float = 0.5,
    ) -> None:
        self.wait_cap_s = wait_cap_s
        self.breaker = breaker
        self.queue_max_bytes = queue_max_bytes
        self.batch_max_age_s = batch_max_age_s
        self.attempt_timeout_s = attempt_timeout_s
        self.slow_retry_s = slow_retry_s  # after refused credentials or a request that cannot be built
        self.backoff = backoff or Backoff()
        self.closing_backoff = closing_backoff or Backoff(base_s=0.05, max_s=0.25)
