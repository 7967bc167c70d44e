"""The agent at work: takes telemetry in, and carries out what the lifecycle decides."""

from __future__ import annotations

from tailrace.agent.lifecycle import (
    AwaitReport,
    AwaitRuntimeDone,
    AwaitSilence,
    Begin,
    CallNext,
    CloseAndLeave,
    Flush,
    event_of,
)
from tailrace.pipeline.ledger import SHUTDOWN
from tailrace.protocol.jsontext import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.agent.diagnostics import Diagnostics
    from tailrace.agent.ledger_export import LedgerExport
    from tailrace.agent.lifecycle import Lifecycle, Step
    from tailrace.clock import Clock
    from tailrace.pipeline.fanout import Fanout
    from tailrace.pipeline.intake import Intake
    from tailrace.pipeline.ledger import Ledger
    from tailrace.pipeline.progress import Progress
    from tailrace.pipeline.spooling.account import Account
    from tailrace.receivers.telemetry import TelemetryListener

# Of the time for the last flush: kept for what came in during the first half of it.
LAST_CALL_S = 0.3
# A pause between two events after which idle connections are not trusted: the least idle time-out of common load
# balancers is a minute, and the other side's clock runs while the sandbox stands still.
THAW_GAP_S = 30.0
CONNECTIONS_END_S = 0.05


class Pipeline:
    """Where records are between the listener and their destinations, and what counts them."""

    __slots__ = ("account", "fanout", "intake", "ledger", "progress")

    def __init__(
        self, intake: Intake, fanout: Fanout, progress: Progress, ledger: Ledger, account: Account | None = None
    ) -> None:
        self.intake = intake
        self.fanout = fanout
        self.progress = progress
        self.ledger = ledger
        self.account = account


class App:
    """Everything behind the fast start. `handle_event` belongs to the main thread, `receive` to the second one.

    `thawed` is called before the first invocation, where the process may be a copy of a snapshot.
    """

    __slots__ = (
        "_account",
        "_clock",
        "_diagnostics",
        "_export",
        "_fanout",
        "_idle_since",
        "_intake",
        "_ledger",
        "_lifecycle",
        "_listener",
        "_progress",
        "_thawed",
    )

    def __init__(
        self,
        lifecycle: Lifecycle,
        listener: TelemetryListener | None,
        pipeline: Pipeline,
        clock: Clock,
        diagnostics: Diagnostics,
        thawed: Callable[[], None] | None = None,
        export: LedgerExport | None = None,
    ) -> None:
        self._export = export
        self._account = pipeline.account
        self._lifecycle = lifecycle
        self._listener = listener
        self._intake = pipeline.intake
        self._fanout = pipeline.fanout
        self._progress = pipeline.progress
        self._ledger = pipeline.ledger
        self._clock = clock
        self._diagnostics = diagnostics
        self._thawed = thawed
        self._idle_since: tuple[float, float] | None = None

    def receive(self) -> None:
        """Take telemetry in for as long as the process lives."""
        if self._listener is not None:
            self._listener.serve()

    def handle_event(self, body: bytes) -> None:
        """Do what is to be done about one answer of event/next. When it returns, Next may be called, or, after
        SHUTDOWN, the process may leave: the ledger is written then."""
        if self._thawed is not None:
            thawed, self._thawed = self._thawed, None
            thawed()
        self._look_at_the_clock()
        self._tell(lambda export: export.event_came())
        try:
            self._live_through(body)
        finally:
            self._idle_since = (self._clock.monotonic_s(), self._clock.wall_s())

    def _look_at_the_clock(self) -> None:
        """A gap since the last event: in whichever clock, for the monotonic one may stand still with the sandbox."""
        if self._idle_since is None:
            return
        monotonic_s, wall_s = self._idle_since
        gap_s = max(self._clock.monotonic_s() - monotonic_s, self._clock.wall_s() - wall_s)
        if gap_s >= THAW_GAP_S:
            self._fanout.thawed()

    def _live_through(self, body: bytes) -> None:
        now_s = self._clock.monotonic_s()
        event = event_of(_decoded(body), self._clock.wall_s(), now_s)
        step = self._lifecycle.begin(event, now_s, self._fanout.any_up, self._fanout.is_warm)
        while not isinstance(step, (CallNext, CloseAndLeave)):
            came = self._carry_out(step)
            step = self._lifecycle.after(step, came, self._clock.monotonic_s(), self._fanout.any_up)
        if isinstance(step, CloseAndLeave):
            self.close(step.until_s, step.keep)

    def _carry_out(self, step: Step) -> bool:
        wait_s = max(0.0, step.until_s - self._clock.monotonic_s())
        if isinstance(step, AwaitReport):
            return self._progress.wait_report(step.request_id, wait_s, step.quiet_s)
        if isinstance(step, AwaitRuntimeDone):
            return self._progress.wait_done(step.request_id, wait_s)
        if isinstance(step, AwaitSilence):
            return self._progress.wait_quiet(wait_s, step.quiet_s, step.since_s)
        if isinstance(step, Begin):
            return self._begin(step)
        if isinstance(step, Flush):
            self._fanout.request_flush()
            return self._fanout.wait_flushed(step.until_s, step.reply_until_s, step.glance_s, step.full)
        raise TypeError(f"nobody carries out {type(step).__name__}")

    def _begin(self, step: Begin) -> bool:
        """What came before this invocation leaves with it, or nothing does yet; see `Begin`."""
        self._progress.leave_when_done = step.leaves_when_done
        self._fanout.hurry_from(step.hurry_from_s)
        if step.sends:
            self._fanout.request_flush()
        return self._fanout.wait_written(step.until_s)

    def close(self, until_s: float, keep: bool = False) -> None:
        """Deliver the rest by `until_s` and write the ledger, the last line on standard output, come what may. With
        `keep` what cannot be delivered by then is left on disk, for the next process.

        Telemetry is taken in while the first flush runs. Then the door is shut, so that whatever was acknowledged
        has its outcome in the ledger.
        """
        try:
            self._fanout.request_flush()
            deliver_until_s = self._fanout.deliver_until_s(until_s)
            self._fanout.wait_drained(deliver_until_s - LAST_CALL_S, full=False)
            self._stop_receiving(deliver_until_s)
            self._tell(lambda export: export.offer_record())
            self._fanout.close(until_s, keep)
        finally:
            self._tell(lambda export: export.write_metrics())
            account = self._account
            if account is not None:
                account.note()  # as far as a process that is killed now got; its line is still to come
            self._diagnostics.last_line(self._ledger.line_object(), None if account is None else account.close)

    def _tell(self, tell: Callable[[LedgerExport], None]) -> None:
        """Let the ledger be exported, where that is asked for. It must not cost what it is about."""
        if self._export is None:
            return
        try:
            tell(self._export)
        except Exception as error:  # noqa: BLE001 - whatever it is, records are delivered and the last line is written
            self._diagnostics("error", "the ledger could not be exported", reason=type(error).__name__)

    def _stop_receiving(self, until_s: float) -> None:
        if self._listener is not None:
            self._listener.stop()
            self._listener.wait_stopped(self._clock, self._clock.monotonic_s() + CONNECTIONS_END_S)
        self._intake.close()
        if not self._progress.wait_quiet(max(0.0, until_s - self._clock.monotonic_s())):
            n_lost = self._fanout.give_up_on(self._intake.admitted_records)
            if n_lost:
                message = "telemetry could not be processed before the end and is lost"
                self._diagnostics("error", message, reason=SHUTDOWN, droppedRecords=n_lost)


def _decoded(body: bytes) -> object:
    try:
        return loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
