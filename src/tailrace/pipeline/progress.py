"""What the lifecycle may wait for: an invocation that is done, and silence."""

from __future__ import annotations

from tailrace.pipeline.sync import Monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.clock import Clock

# Where the platform lost telemetry, the end of the invocation may be among it, and nothing else tells of it: then so
# much silence stands for it. To take it for the end too early costs nothing but the wait for the last lines.
LOSS_QUIET_S = 0.5
_REMEMBERED = 256  # invocations; the lifecycle asks about the latest


class Progress:
    """Told by the intake and the worker, asked by the lifecycle. All methods may be called from any thread."""

    __slots__ = (
        "_admitted",
        "_clock",
        "_done",
        "_last_activity_s",
        "_lost",
        "_monitor",
        "_processed",
        "_reported",
        "_withheld",
        "leave_when_done",
    )

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._monitor = Monitor()
        self._done: dict[str, None] = {}
        self._reported: dict[str, None] = {}
        self._lost = False
        self._withheld = 0
        self._admitted = 0
        self._processed = 0
        self._last_activity_s = clock.monotonic_s()
        # Nobody waits for the end of the invocation: the worker sends its last lines off when it sees them.
        self.leave_when_done = False

    # -- told

    def invocation_done(self, request_id: str) -> None:
        """platform.runtimeDone of this request was processed, and everything that came with it."""
        self._remember(self._done, request_id)
        self._lost = False

    def report_seen(self, request_id: str) -> None:
        """The same for platform.report."""
        self._remember(self._reported, request_id)

    def lost(self) -> None:
        """The platform says that it dropped telemetry."""
        with self._monitor:
            self._lost = True
            self._monitor.notify_all()

    def admitted(self) -> None:
        """A telemetry body got into the intake."""
        with self._monitor:
            self._admitted += 1
            self._last_activity_s = self._clock.monotonic_s()
            self._monitor.notify_all()

    def withheld(self) -> None:
        """A telemetry body is not let in, for now or at all: what it tells comes later or never."""
        with self._monitor:
            self._withheld += 1
            self._monitor.notify_all()

    def processed(self) -> None:
        """A telemetry body was processed to its end."""
        with self._monitor:
            self._processed += 1
            self._monitor.notify_all()

    # -- asked

    def wait_done(self, request_id: str, timeout_s: float) -> bool:
        """Whether the invocation is done, waiting up to `timeout_s` for it, or, after a loss, for silence. A body that
        is withheld meanwhile ends the wait: the end of the invocation may be in it, and nobody waits for that."""
        with self._monitor:
            deadline_s = self._clock.monotonic_s() + timeout_s
            withheld = self._withheld
            while request_id not in self._done:
                now_s = self._clock.monotonic_s()
                quiet_s = self._last_activity_s + LOSS_QUIET_S
                is_incomplete = self._lost and self._processed >= self._admitted
                until_s = min(deadline_s, quiet_s) if is_incomplete else deadline_s
                if now_s >= until_s or self._withheld > withheld:
                    self._lost = False
                    return False
                self._monitor.wait(until_s - now_s)
            return True

    def wait_report(self, request_id: str, timeout_s: float, quiet_s: float | None = None) -> bool:
        """Whether its platform.report came, waiting up to `timeout_s`; silence of `quiet_s` ends the wait, too."""
        if quiet_s is None:
            return self._wait_for(self._reported, request_id, timeout_s)
        with self._monitor:
            self._wait_quiet(timeout_s, quiet_s, lambda: request_id in self._reported)
            return request_id in self._reported

    def wait_quiet(self, timeout_s: float, settle_s: float = 0.0, since_s: float | None = None) -> bool:
        """Whether everything admitted so far is processed, and nothing new came for `settle_s` from `since_s` on (by
        default from now on)."""
        with self._monitor:
            return self._wait_quiet(timeout_s, settle_s, lambda: False, since_s)

    def _wait_quiet(
        self, timeout_s: float, settle_s: float, is_enough: Callable[[], bool], since_s: float | None = None
    ) -> bool:
        """Wait for silence, or until `is_enough`. True unless the time ran out."""
        start_s = self._clock.monotonic_s()
        silent_from_s = start_s if since_s is None else since_s
        while True:
            now_s = self._clock.monotonic_s()
            quiet_s = max(silent_from_s, self._last_activity_s) + settle_s
            is_busy = self._processed < self._admitted
            if is_enough() or (not is_busy and now_s >= quiet_s):
                return True
            if now_s >= start_s + timeout_s:
                return False
            until_s = start_s + timeout_s if is_busy else min(quiet_s, start_s + timeout_s)
            self._monitor.wait(until_s - now_s)

    def _remember(self, seen: dict[str, None], request_id: str) -> None:
        with self._monitor:
            seen[request_id] = None
            if len(seen) > _REMEMBERED:
                del seen[next(iter(seen))]
            self._monitor.notify_all()

    def _wait_for(self, seen: dict[str, None], request_id: str, timeout_s: float) -> bool:
        with self._monitor:
            deadline_s = self._clock.monotonic_s() + timeout_s
            return self._monitor.wait_until(lambda: request_id in seen, self._clock, deadline_s)
