"""What the agent does with an event, and when it may call Next. Pure: facts and moments in, one step at a time out.

The promise to the platform is the call to Next: it means "you may freeze me now". Between the end of the invocation
and that call stands a flush with a deadline. All moments here are monotonic seconds.
"""

from __future__ import annotations

from tailrace.pipeline.flush import HOLD, KEEP, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.pipeline.interfaces import FlushPolicy

INVOKE = "INVOKE"
SHUTDOWN = "SHUTDOWN"
# After this the environment is gone; after `timeout` and `failure` it goes on with new processes.
SPINDOWN = "spindown"

# Where an event states no deadline: the whole shutdown phase has this long (lambda-platform.md 4.6).
UNSTATED_DEADLINE_S = 2.0
# At shutdown the platform has delivered what it held (lambda-platform.md 5.8), or is about to: this much silence
# says that nothing more comes, and this much is waited at most.
QUIET_S = 0.1
QUIET_LIMIT_S = 0.2
# Where no time is left for the last flush it is tried all the same: the kill may come late, the records cannot.
LAST_TRY_S = 0.05
# How many times the settle window telemetry may keep coming after runtimeDone before the flush begins anyway.
SETTLE_LIMIT = 4
LATEST_EPOCH_MS = 10**14
# No invocation has longer by far, and no lock can be waited for as long as a number may say.
LONGEST_S = 86_400.0


class LifecycleEvent:
    """What event/next answered. `kind` is the event's own word; `request_id` is empty where it has none."""

    __slots__ = ("deadline_s", "kind", "reason", "request_id")

    def __init__(self, kind: str, deadline_s: float, request_id: str = "", reason: str = "") -> None:
        self.kind = kind
        self.deadline_s = deadline_s
        self.request_id = request_id
        self.reason = reason


def event_of(value: object, wall_s: float, now_s: float) -> LifecycleEvent:
    """The event in a decoded body of event/next, its `deadlineMs` (epoch milliseconds) turned into a monotonic
    moment. Whatever is missing or odd gets a harmless stand-in: an unknown event only leads to the next one."""
    members = value if isinstance(value, dict) else {}
    deadline_ms = members.get("deadlineMs")
    left_s = UNSTATED_DEADLINE_S
    if isinstance(deadline_ms, (int, float)) and 0 < deadline_ms < LATEST_EPOCH_MS:
        left_s = min(deadline_ms / 1000 - wall_s, LONGEST_S)
    return LifecycleEvent(
        _text(members.get("eventType")),
        now_s + left_s,
        _text(members.get("requestId")),
        _text(members.get("shutdownReason")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


class Step:
    """One thing to do. Those with `until_s` end at that moment at the latest."""

    __slots__ = ("until_s",)

    def __init__(self, until_s: float = 0.0) -> None:
        self.until_s = until_s


class AwaitRuntimeDone(Step):
    """Wait until the worker has dealt with `platform.runtimeDone` of `request_id`. Answer: whether it came."""

    __slots__ = ("request_id",)

    def __init__(self, request_id: str, until_s: float) -> None:
        super().__init__(until_s)
        self.request_id = request_id


class AwaitReport(AwaitRuntimeDone):
    """The same for `platform.report`; silence of `quiet_s` ends the wait, too."""

    __slots__ = ("quiet_s",)

    def __init__(self, request_id: str, until_s: float, quiet_s: float) -> None:
        super().__init__(request_id, until_s)
        self.quiet_s = quiet_s


class AwaitSilence(Step):
    """Wait until no telemetry has come for `quiet_s`, counted from `since_s` at the earliest."""

    __slots__ = ("quiet_s", "since_s")

    def __init__(self, quiet_s: float, until_s: float, since_s: float) -> None:
        super().__init__(until_s)
        self.quiet_s = quiet_s
        self.since_s = since_s


class Begin(Step):
    """An invocation runs. Lines leave as they come from `hurry_from_s` on. With `sends`, what is held leaves now, and
    is waited for until it is on the wire, up to `until_s`; with `attends`, somebody will flush when it is done, or else
    its last lines leave as soon as they are here (`leaves_when_done`)."""

    __slots__ = ("attends", "hurry_from_s", "leaves_when_done", "sends")

    def __init__(self, until_s: float, hurry_from_s: float, plan: str) -> None:
        super().__init__(until_s)
        self.hurry_from_s = hurry_from_s
        self.attends = plan == HOLD
        self.sends = plan != KEEP
        self.leaves_when_done = plan not in (HOLD, KEEP, WRITE)


class Flush(Step):
    """Send everything, and wait: until all is on the wire up to `until_s`, and then `glance_s` for the outcome; where
    `glance_s` is None, and for destinations that are not warm, for the outcome until `reply_until_s`. `full` where
    that wait has the length that the policy grants: only then does waiting in vain say something about the
    destination."""

    __slots__ = ("full", "glance_s", "reply_until_s")

    def __init__(self, until_s: float, reply_until_s: float, glance_s: float | None, full: bool) -> None:
        super().__init__(until_s)
        self.reply_until_s = reply_until_s
        self.glance_s = glance_s
        self.full = full


class CallNext(Step):
    """Done with the event."""

    __slots__ = ()


class CloseAndLeave(Step):
    """Send everything for the last time, write the ledger, leave the process. With `keep` the environment stays, and
    another process of it will find what lies on its storage (lambda-platform.md 4.7)."""

    __slots__ = ("keep",)

    def __init__(self, until_s: float, keep: bool = False) -> None:
        super().__init__(until_s)
        self.keep = keep


class Lifecycle:
    """`begin` an event, carry out its step, say with `after` what came of it, and so on until `CallNext` or
    `CloseAndLeave`. `telemetry` is false where the platform will never send any: then nothing is waited for."""

    __slots__ = ("_begun_s", "_event", "_flushes", "_last_request_id", "_policy", "_telemetry")

    def __init__(self, policy: FlushPolicy, telemetry: bool) -> None:
        self._policy = policy
        self._telemetry = telemetry
        self._last_request_id = ""
        self._event = LifecycleEvent("", 0.0)
        self._begun_s = 0.0
        self._flushes = 0

    def begin(self, event: LifecycleEvent, now_s: float, any_up: bool, is_warm: bool) -> Step:
        """The first step. `any_up`: some destination is worth waiting for; `is_warm`: all of these have answered
        before, over connections that stand."""
        self._event = event
        self._begun_s = now_s
        if event.kind == SHUTDOWN:
            return self._shutdown(now_s)
        if event.kind != INVOKE or not self._telemetry:
            return CallNext()
        self._last_request_id = event.request_id
        self._flushes = 0
        plan = self._policy.begin(now_s, any_up, is_warm)
        write_wait_s = self._policy.write_wait_s(now_s, event.deadline_s, any_up) if plan == WRITE else 0.0
        return Begin(now_s + write_wait_s, self._policy.hurry_from_s(now_s, event.deadline_s), plan)

    def after(self, step: Step, came: bool, now_s: float, any_up: bool) -> Step:
        """The step after `step`. `came` is its answer, `any_up` whether any destination is worth waiting for."""
        if isinstance(step, AwaitReport):
            return self._close(now_s)
        if isinstance(step, Begin) and step.attends:
            wait_s = self._policy.done_wait_s(now_s, self._event.deadline_s)
            return AwaitRuntimeDone(self._event.request_id, now_s + wait_s)
        if isinstance(step, AwaitRuntimeDone):
            return self._settle(now_s) if came and self._policy.waits_for_replies else self._flush(now_s, any_up)
        if isinstance(step, AwaitSilence):
            return self._flush(now_s, any_up)
        if isinstance(step, Flush) and self._flushes == 1 and not self._policy.waits_for_replies:
            # The wait for the wire was part of the settle window; who came in the rest of it gets on the wire, too.
            return self._settle(now_s)
        return CallNext()

    def _settle(self, now_s: float) -> Step:
        quiet_s = self._policy.settle_s(now_s, self._event.deadline_s)
        # Silence may never come: a function that left a thread behind goes on writing.
        limit_s = min(SETTLE_LIMIT * quiet_s, self._policy.done_wait_s(now_s, self._event.deadline_s))
        # Counted from the last post on, not from when it was processed: the platform had its answer then.
        return AwaitSilence(quiet_s, now_s + limit_s, self._begun_s)

    def _flush(self, now_s: float, any_up: bool) -> Step:
        self._flushes += 1
        deadline_s = self._event.deadline_s
        reply_wait_s = self._policy.reply_wait_s(now_s, deadline_s, any_up)
        glance_s = None
        if not self._policy.waits_for_replies:
            glance_s = self._policy.glance_s() if self._flushes == 1 else 0.0
        return Flush(
            now_s + self._policy.write_wait_s(now_s, deadline_s, any_up),
            now_s + reply_wait_s,
            glance_s,
            full=0 < self._policy.cap_s <= reply_wait_s,
        )

    def _shutdown(self, now_s: float) -> Step:
        left_s = self._policy.shutdown_wait_s(now_s, self._event.deadline_s)
        if not self._telemetry or left_s <= 0:
            return self._close(now_s)
        limit_s = min(QUIET_LIMIT_S, left_s / 2)
        return AwaitReport(self._last_request_id, now_s + limit_s, min(QUIET_S, limit_s))

    def _close(self, now_s: float) -> Step:
        wait_s = self._policy.shutdown_wait_s(now_s, self._event.deadline_s)
        return CloseAndLeave(now_s + max(LAST_TRY_S, wait_s), keep=self._event.reason != SPINDOWN)
