"""When the agent waits for deliveries, and how long. Pure: moments are monotonic seconds, answers are seconds.

A policy is one row of `POLICIES`. The others of the design (``periodic``, ``continuous``, ``adaptive``) take
their place there.
"""

from __future__ import annotations

from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.pipeline.interfaces import FlushPolicy

_SHUTDOWN_MARGIN_S = 0.2  # for the ledger's line and the exit


class FlushSettings:
    """`end_wait_ms` caps the wait for replies, `settle_ms` is the pause for stragglers after runtimeDone,
    `margin_ms` the distance kept from every deadline."""

    __slots__ = ("end_wait_ms", "margin_ms", "settle_ms")

    def __init__(self, end_wait_ms: int = 500, settle_ms: int = 5, margin_ms: int = 100) -> None:
        self.end_wait_ms = end_wait_ms
        self.settle_ms = settle_ms
        self.margin_ms = margin_ms


class EndPolicy:
    """Deliver at the end of each invocation and at shutdown, and wait for the replies within a cap."""

    __slots__ = ("_settings",)
    name = "end"

    def __init__(self, settings: FlushSettings) -> None:
        self._settings = settings

    def done_wait_s(self, now_s: float, deadline_s: float) -> float:
        """How long to wait for the invocation to be done: as long as it may run, less the margin."""
        return max(0.0, deadline_s - self._settings.margin_ms / 1000 - now_s)

    def settle_s(self, now_s: float, deadline_s: float) -> float:
        """How long telemetry must have been silent after runtimeDone before the flush."""
        return min(self._settings.settle_ms / 1000, self.done_wait_s(now_s, deadline_s))

    def reply_wait_s(self, now_s: float, deadline_s: float, any_up: bool) -> float:
        """How long to wait for replies: up to the cap, never past the deadline, not at all for who is down."""
        if not any_up:
            return 0.0
        return min(self.cap_s, self.done_wait_s(now_s, deadline_s))

    def shutdown_wait_s(self, now_s: float, deadline_s: float) -> float:
        """How long the last flush may take (the whole shutdown phase has 2 s, lambda-platform.md 4.6).

        The margin for invocations is no measure here: a generous one would eat up the phase.
        """
        return max(0.0, deadline_s - _SHUTDOWN_MARGIN_S - now_s)

    @property
    def cap_s(self) -> float:
        """The longest wait for replies. Only a wait of this length says something about a destination."""
        return self._settings.end_wait_ms / 1000


POLICIES: dict[str, Callable[[FlushSettings], FlushPolicy]] = {EndPolicy.name: EndPolicy}


def flush_policy(name: str, settings: FlushSettings, setting: str = "TAILRACE_FLUSH") -> FlushPolicy:
    """The policy called `name`. Raises `ConfigError` (about `setting`) where there is none of that name."""
    policy = POLICIES.get(name)
    if policy is None:
        raise ConfigError(setting, f"unknown flush policy {name!r}", f"allowed: {', '.join(sorted(POLICIES))}")
    return policy(settings)
