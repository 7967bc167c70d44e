"""When the agent waits for deliveries, and how long. Pure: moments are monotonic seconds, answers are seconds.

The promise to the platform is the call to Next. The platform keeps the last lines of an invocation in its own buffer
for up to 25 ms (lambda-platform.md 5.8, the least that a subscription may ask for), so whoever calls Next earlier
gets them with the next invocation, and whoever holds Next until they are here makes the environment busy for as
long. A policy is an answer to the question which of the two an invocation gets: one row of `POLICIES`.
"""

from __future__ import annotations

from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.pipeline.interfaces import FlushPolicy

# What an invocation gets, decided when it begins.
HOLD = "hold"  # Next is called when its last lines have been here and on the wire
SEND = "send"  # Next is called at once; lines leave as they come
WRITE = "write"  # what is held is written to the wire, then Next is called; lines that come stay for the next time
KEEP = "keep"  # Next is called at once; lines stay for the next time

_SHUTDOWN_MARGIN_S = 0.2  # for the ledger's line and the exit
# Lines leave as they come from here on: the kill at the deadline finds few. A quarter of short invocations is enough.
_NEAR_DEADLINE_S = 1.0
_NEAR_DEADLINE_SHARE = 0.25


class FlushSettings:
    """Milliseconds, nearly all of them.

    `end_wait_ms` caps the wait for replies where they are waited for in full, `reply_wait_ms` where they are not;
    `write_timeout_ms` caps the wait for the wire. `settle_ms` is the pause for stragglers after runtimeDone,
    `margin_ms` the distance kept from every deadline, `interval_ms` the time between two flushes of the policies that
    have one. Traffic is called steady after `steady_after` intervals between invocations (no milliseconds, these) of at
    most `steady_ms` each (0: never).
    """

    __slots__ = (
        "end_wait_ms",
        "interval_ms",
        "margin_ms",
        "reply_wait_ms",
        "settle_ms",
        "steady_after",
        "steady_ms",
        "write_timeout_ms",
    )

    def __init__(
        self,
        end_wait_ms: int = 500,
        settle_ms: int = 2,
        margin_ms: int = 100,
        write_timeout_ms: int = 500,
        reply_wait_ms: int = 5,
        steady_ms: int = 1000,
        interval_ms: int = 10_000,
        steady_after: int = 20,
    ) -> None:
        self.end_wait_ms = end_wait_ms
        self.settle_ms = settle_ms
        self.margin_ms = margin_ms
        self.write_timeout_ms = write_timeout_ms
        self.reply_wait_ms = reply_wait_ms
        self.steady_ms = steady_ms
        self.interval_ms = interval_ms
        self.steady_after = steady_after


class EndPolicy:
    """Deliver at the end of each invocation, and wait for the replies within a cap. Other policies change parts."""

    __slots__ = ("_settings",)
    name = "end"
    # Whether the replies of a flush are worth more than `reply_wait_ms`.
    waits_for_replies = True

    def __init__(self, settings: FlushSettings) -> None:
        self._settings = settings

    def begin(self, now_s: float, any_up: bool, is_warm: bool) -> str:
        """What the invocation that begins now gets. Nothing is held for destinations that are all down; `is_warm` says
        that those that are up have answered before, over connections that stand."""
        return HOLD if any_up else SEND

    def done_wait_s(self, now_s: float, deadline_s: float) -> float:
        """How long to wait for the invocation to be done: as long as it may run, less the margin."""
        return max(0.0, deadline_s - self._settings.margin_ms / 1000 - now_s)

    def hurry_from_s(self, now_s: float, deadline_s: float) -> float:
        """The moment from which on lines leave as they come, because the invocation may be killed."""
        left_s = self.done_wait_s(now_s, deadline_s)
        return now_s + left_s - min(_NEAR_DEADLINE_S, left_s * _NEAR_DEADLINE_SHARE)

    def settle_s(self, now_s: float, deadline_s: float) -> float:
        """How long telemetry must have been silent after runtimeDone before the flush is the last one."""
        return min(self._settings.settle_ms / 1000, self.done_wait_s(now_s, deadline_s))

    def write_wait_s(self, now_s: float, deadline_s: float, any_up: bool) -> float:
        """How long to wait until everything is on the wire; not at all for who is down."""
        return min(self._settings.write_timeout_ms / 1000, self.done_wait_s(now_s, deadline_s)) if any_up else 0.0

    def reply_wait_s(self, now_s: float, deadline_s: float, any_up: bool) -> float:
        """How long to wait for replies that are waited for in full: up to the cap, never past the deadline, not at
        all for who is down."""
        return min(self.cap_s, self.done_wait_s(now_s, deadline_s)) if any_up else 0.0

    def glance_s(self) -> float:
        """How long to wait for replies that are not waited for in full."""
        return self._settings.reply_wait_ms / 1000

    def shutdown_wait_s(self, now_s: float, deadline_s: float) -> float:
        """How long the last flush may take (the whole shutdown phase has 2 s, lambda-platform.md 4.6).

        The margin for invocations is no measure here: a generous one would eat up the phase.
        """
        return max(0.0, deadline_s - _SHUTDOWN_MARGIN_S - now_s)

    @property
    def cap_s(self) -> float:
        """The longest wait for replies. Only a wait of this length says something about a destination."""
        return self._settings.end_wait_ms / 1000


class AdaptivePolicy(EndPolicy):
    """Hold what is rare, overlap what is steady.

    An invocation is held until its last lines are written, without paying for slow replies, unless the invocations
    before it came so close together that its last lines may travel while the next one runs.
    """

    __slots__ = ("_last_s", "_short_intervals")
    name = "adaptive"
    waits_for_replies = False

    def __init__(self, settings: FlushSettings) -> None:
        super().__init__(settings)
        self._last_s: float | None = None
        self._short_intervals = 0

    def begin(self, now_s: float, any_up: bool, is_warm: bool) -> str:
        last_s, self._last_s = self._last_s, now_s
        longest_s = self._settings.steady_ms / 1000
        is_short = last_s is not None and 0 < longest_s >= now_s - last_s
        self._short_intervals = self._short_intervals + 1 if is_short else 0
        is_steady = self._short_intervals >= self._settings.steady_after and is_warm
        return HOLD if any_up and not is_steady else SEND


class ContinuousPolicy(EndPolicy):
    """Lines leave as they come, and Next is never held for them."""

    __slots__ = ()
    name = "continuous"
    waits_for_replies = False

    def begin(self, now_s: float, any_up: bool, is_warm: bool) -> str:
        return SEND


class PeriodicPolicy(EndPolicy):
    """Lines are collected and written at the first beginning of an invocation after `interval_ms`."""

    __slots__ = ("_flushed_s",)
    name = "periodic"
    waits_for_replies = False

    def __init__(self, settings: FlushSettings) -> None:
        super().__init__(settings)
        self._flushed_s: float | None = None

    def begin(self, now_s: float, any_up: bool, is_warm: bool) -> str:
        if self._flushed_s is None:
            self._flushed_s = now_s
        if now_s - self._flushed_s < self._settings.interval_ms / 1000:
            return KEEP
        self._flushed_s = now_s
        return WRITE if any_up else SEND


POLICIES: dict[str, Callable[[FlushSettings], FlushPolicy]] = {
    policy.name: policy for policy in (AdaptivePolicy, ContinuousPolicy, EndPolicy, PeriodicPolicy)
}


def flush_policy(name: str, settings: FlushSettings, setting: str = "TAILRACE_FLUSH") -> FlushPolicy:
    """The policy called `name`. Raises `ConfigError` (about `setting`) where there is none of that name."""
    policy = POLICIES.get(name)
    if policy is None:
        raise ConfigError(setting, f"unknown flush policy {name!r}", f"allowed: {', '.join(sorted(POLICIES))}")
    return policy(settings)
