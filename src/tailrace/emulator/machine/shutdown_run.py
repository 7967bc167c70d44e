"""The end of one generation of processes, for a reset or for good (lambda-platform.md 4.6)."""

from __future__ import annotations

from collections.abc import Callable

from tailrace.emulator.machine.effects import Respond
from tailrace.emulator.machine.facts import RUNTIME, extension_process
from tailrace.emulator.machine.figures import deadline_ms
from tailrace.emulator.machine.registry import Extension
from tailrace.emulator.machine.sandbox_state import SandboxState
from tailrace.emulator.machine.stage import NS_PER_MS
from tailrace.emulator.machine.states import READY, RUNNING
from tailrace.protocol.extensions_api import SHUTDOWN, LifecycleEvent
from tailrace.protocol.replies import CONTENT_TYPE, TEXT

SHUTDOWN_RUNTIME = "shutdown-runtime"
SHUTDOWN_DRAIN = "shutdown-drain"
SHUTDOWN_DEADLINE = "shutdown-deadline"
TIMERS = (SHUTDOWN_RUNTIME, SHUTDOWN_DRAIN, SHUTDOWN_DEADLINE)


class ShutdownRun:
    """Runs once; `ended` is called when no process runs any more.

    With external extensions: SIGTERM to the runtime while telemetry is delivered, then SHUTDOWN to the extensions,
    at last SIGKILL, all within one budget. With internal ones only, their listener lives in the runtime's process:
    telemetry first, then SIGTERM. With none: SIGKILL at once.
    """

    def __init__(self, state: SandboxState, reason: str, ended: Callable[[], None]) -> None:
        self._state = state
        self._reason = reason
        self._ended = ended
        registered = state.registry.registered()
        self._has_external = any(extension.is_external for extension in registered)
        self._has_any = bool(registered)
        self._deadline_ns = state.stage.now_ns
        self._runtime_is_over = False
        self._drain_is_over = False
        self._told: set[str] | None = None

    def begin(self) -> None:
        state = self._state
        state.registry.is_open = False
        state.telemetry.close_window()
        if not self._has_any or not state.processes.running:
            self._told = set()
            state.processes.kill_all()
            self._check_ended()
            return
        policy = state.policy
        budget_ms = policy.shutdown_budget_ms if self._has_external else policy.shutdown_budget_internal_ms
        self._deadline_ns += budget_ms * NS_PER_MS
        state.stage.set_timer(SHUTDOWN_DEADLINE, budget_ms)
        state.stage.set_timer(SHUTDOWN_DRAIN, min(policy.shutdown_drain_ms, budget_ms / 2))
        state.telemetry.flush()
        if self._has_external:
            self._terminate_runtime(budget_ms * policy.shutdown_runtime_share)
        self.check()

    def process_ended(self, process: str) -> None:
        if process == RUNTIME:
            self._runtime_is_gone()
        self.check()
        self._check_ended()

    def extension_called_next(self, extension: Extension) -> None:
        if self._told is not None:
            self._tell(extension)

    def timer_fired(self, timer: str) -> None:
        if timer == SHUTDOWN_DEADLINE:
            self._state.processes.kill_all()
        elif timer == SHUTDOWN_DRAIN:
            self._drain_is_over = True
        elif timer == SHUTDOWN_RUNTIME:
            self._state.processes.signal(RUNTIME, "SIGKILL")
            self._runtime_is_gone()
        self.check()

    def check(self) -> None:
        """Go on as far as telemetry and the runtime allow; called after every fact."""
        if self._told is not None or not (self._drain_is_over or self._state.telemetry.is_flushed):
            return
        if self._has_external and not self._runtime_is_over:
            return
        self._told = set()
        self._state.stage.cancel_timer(SHUTDOWN_DRAIN)
        if not self._has_external:
            self._state.processes.signal(RUNTIME, "SIGTERM")
            return
        for extension in self._state.registry.externals():
            if extension.wants_shutdown:
                self._tell(extension)
            else:
                self._state.processes.signal(extension_process(extension.name), "SIGKILL")

    def _terminate_runtime(self, share_ms: float) -> None:
        if self._state.processes.runs(RUNTIME):
            self._state.processes.signal(RUNTIME, "SIGTERM")
            self._state.stage.set_timer(SHUTDOWN_RUNTIME, share_ms)
        else:
            self._runtime_is_over = True

    def _runtime_is_gone(self) -> None:
        """What it wrote in its last moments is delivered before the extensions are told."""
        if self._runtime_is_over:
            return
        self._runtime_is_over = True
        self._state.stage.cancel_timer(SHUTDOWN_RUNTIME)
        self._state.telemetry.flush()

    def _tell(self, extension: Extension) -> None:
        """SHUTDOWN, once, to whoever is blocked in `next`; others get it when they call."""
        assert self._told is not None
        if extension.state != READY or not extension.wants_shutdown or extension.name in self._told:
            return
        self._told.add(extension.name)
        exchange = extension.take_pending()
        extension.state = RUNNING
        if exchange is not None:
            event = LifecycleEvent(SHUTDOWN, deadline_ms(self._deadline_ns), shutdown_reason=self._reason)
            # without an event identifier and as plain text: as recorded (lambda-platform.md 2.5)
            self._state.stage.emit(Respond(exchange, 200, ((CONTENT_TYPE, TEXT),), event.body()))

    def _check_ended(self) -> None:
        if self._state.processes.running:
            return
        for timer in TIMERS:
            self._state.stage.cancel_timer(timer)
        self._state.telemetry.forget_subscribers()
        self._ended()
