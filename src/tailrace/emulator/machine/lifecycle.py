"""Which phase follows which: init, invocations, freeze, reset, shutdown (lambda-platform.md 4)."""

from __future__ import annotations

from collections import deque

from tailrace.emulator.function import Answer, Invocation, Report
from tailrace.emulator.machine.effects import AnswerInvoker, CloseInvocation, EndEnvironment
from tailrace.emulator.machine.facts import RUNTIME, ProcessExited, ProcessNotSpawned, extension_process
from tailrace.emulator.machine.fatal import (
    EXTENSION_LAUNCH_ERROR,
    RUNTIME_INVALID_ENTRYPOINT,
    SANDBOX_FAILURE,
    SANDBOX_TIMEOUT,
    Fatal,
    extension_exited,
    out_of_memory,
    runtime_exited,
)
from tailrace.emulator.machine.init_kind import belongs_to_first_invocation
from tailrace.emulator.machine.init_run import INIT_DEADLINE, InitRun
from tailrace.emulator.machine.invoke_run import INVOKE_DEADLINE, UNHANDLED, InvokeRun
from tailrace.emulator.machine.registry import Extension
from tailrace.emulator.machine.sandbox_state import FREEZE, SandboxState
from tailrace.emulator.machine.shutdown_run import ShutdownRun
from tailrace.emulator.machine.states import LAUNCH_ERROR, RESPONSE_SENT, STARTED
from tailrace.protocol.extensions_api import FAILURE, SPINDOWN, TIMEOUT
from tailrace.protocol.platform_events import PHASE_INIT, PHASE_INVOKE

COLD, INIT, IDLE, INVOKE, RESET, ENDED = "cold", "init", "idle", "invoke", "reset", "ended"

_LAUNCH_ERRORS = {"EACCES": "PermissionDenied"}


class Lifecycle:
    """`phase` is one of the words above. An invocation that has to initialise first is in `INVOKE` all the while."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self.phase = COLD
        self.invoke: InvokeRun | None = None
        self._init: InitRun | None = None
        self._shutdown: ShutdownRun | None = None
        self._waiting: deque[Invocation] = deque()
        self._was_initialised = False
        self._is_ending = False
        self._unbilled_init_ms: float | None = None
        self._tenant_id = ""

    # what is asked from outside

    def init_requested(self) -> None:
        if self.phase == COLD and not self._was_initialised and not self._is_ending:
            self._begin_init()

    def invoke_requested(self, invocation: Invocation) -> None:
        refusal = self._refusal(invocation)
        if refusal is not None:
            self._turn_away(invocation, refusal)
            return
        self._state.thaw()
        self._waiting.append(invocation)
        self._advance()

    def shutdown_requested(self) -> None:
        if self._is_ending:
            return
        self._state.thaw()
        self._is_ending = True
        if self.phase in (INIT, INVOKE):
            self._fail(Fatal(SANDBOX_FAILURE, "The environment was shut down"))
        else:
            self._advance()

    def freeze_requested(self) -> None:
        """Only where processes are at work: one that is on its way to its end is not held up."""
        if self.phase == IDLE:
            self._state.freeze()
        elif self.phase in (INIT, INVOKE):
            self._state.freeze_now()

    # what processes do

    def process_not_spawned(self, fact: ProcessNotSpawned) -> None:
        if not self._state.processes.ended(fact.process, fact.generation):
            return
        extension = self._extension_of(fact.process)
        if extension is None:
            fatal = Fatal(RUNTIME_INVALID_ENTRYPOINT, f"The runtime could not be started: {fact.error}")
        else:
            extension.state = LAUNCH_ERROR
            extension.error_type = _LAUNCH_ERRORS.get(fact.error, "UnknownError")
            message = f"The extension {extension.name} could not be started: {fact.error}"
            fatal = Fatal(EXTENSION_LAUNCH_ERROR, message, culprit=extension.name)
        self._process_is_gone(fact.process, fatal)

    def process_exited(self, fact: ProcessExited) -> None:
        if not self._state.processes.ended(fact.process, fact.generation):
            return
        extension = self._extension_of(fact.process)
        if extension is None:
            self._forget_internal_subscribers()
            fatal = runtime_exited(fact.exit_code, fact.signal)
        else:
            self._state.telemetry.forget(extension.name)
            fatal = extension_exited(extension.name, fact.exit_code, fact.signal)
        self._process_is_gone(fact.process, fatal)

    def memory_limit_exceeded(self) -> None:
        """The runtime is killed at once, and extensions are told like after any failure; whatever still uses too
        much then is killed as well (lambda-platform.md 4.5)."""
        if self.phase in (COLD, ENDED):
            return
        self._state.memory_limit_exceeded()
        if self.phase == RESET:
            self._state.processes.kill_all()
            return
        if self.phase != IDLE:
            self._state.thaw()
        if not self._state.is_frozen:
            self._state.processes.signal(RUNTIME, "SIGKILL")
        self._fail(self._state.note_fatal(out_of_memory(self._state.policy.out_of_memory_error_type)))

    def fatal_reported(self, fatal: Fatal, ends_phase: bool = True) -> None:
        """A process said itself that it cannot go on."""
        if self.phase == RESET:
            return
        fatal = self._state.note_fatal(fatal)
        if ends_phase:
            self._fail(fatal)

    # what the in-sandbox API tells

    def extension_registered(self) -> None:
        if self._init is not None:
            self._init.extension_registered()

    def extension_called_next(self, extension: Extension) -> None:
        if self._init is not None:
            self._init.extension_ready(extension)
        elif self.invoke is not None:
            self.invoke.extension_called_next(extension)
        elif self._shutdown is not None:
            self._shutdown.extension_called_next(extension)

    def runtime_called_next(self, before: str) -> None:
        """`before` is the runtime's state when it called."""
        if self._init is not None and before == STARTED:
            self._init.runtime_ready()
        elif self.invoke is not None and before == RESPONSE_SENT:
            self.invoke.runtime_called_next()

    # time

    def timer_fired(self, timer: str) -> None:
        if timer == FREEZE and self.phase == IDLE:
            self._state.freeze()
        elif timer == INIT_DEADLINE and self._init is not None:
            self._init.deadline_passed()
        elif timer == INVOKE_DEADLINE and self.invoke is not None:
            self._invoke_deadline_passed(self.invoke)
        elif self._shutdown is not None:
            self._shutdown.timer_fired(timer)

    def check(self) -> None:
        """Called after every fact: a shutdown may wait for telemetry."""
        if self._shutdown is not None:
            self._shutdown.check()

    # phases

    def _advance(self) -> None:
        """Begin what comes next, if anything can."""
        if self._is_ending:
            self._advance_to_end()
        elif not self._waiting:
            if self.phase == IDLE:
                self._state.freeze_soon()
        elif self.phase == IDLE:
            self._begin_invocation()
        elif self.phase == COLD:
            if self._was_initialised:
                self._begin_invocation_with_init()
            else:
                self._begin_init()

    def _advance_to_end(self) -> None:
        if self.phase == IDLE:
            self._begin_reset(SPINDOWN)
        elif self.phase in (COLD, ENDED):
            self._turn_away_the_waiting()
            if self.phase == COLD:
                self.phase = ENDED
                self._state.stage.emit(EndEnvironment(SPINDOWN))

    def _begin_init(self) -> None:
        self.phase = INIT
        self._was_initialised = True
        self._init = InitRun(self._state, PHASE_INIT, self._init_ended)
        self._init.begin()

    def _init_ended(self, fatal: Fatal | None) -> None:
        run, self._init = self._init, None
        if fatal is not None:
            self._begin_reset(_reason(fatal))
            return
        is_told = bool(self._waiting) or self._state.policy.early_init_in_first_report
        if run is not None and is_told and belongs_to_first_invocation(self._state.config):
            self._unbilled_init_ms = run.duration_ms
        self.phase = IDLE
        self._advance()

    def _begin_invocation(self) -> None:
        self._open_invocation()
        assert self.invoke is not None
        if self._state.fatal is not None:
            self.invoke.fail(self._state.fatal)
        else:
            self.invoke.start()

    def _begin_invocation_with_init(self) -> None:
        """A failed or reset environment is initialised inside the invocation (lambda-platform.md 4.2)."""
        self._unbilled_init_ms = None
        self._open_invocation()
        self._init = InitRun(self._state, PHASE_INVOKE, self._inner_init_ended)
        self._init.begin()

    def _open_invocation(self) -> None:
        self.phase = INVOKE
        init_ms, self._unbilled_init_ms = self._unbilled_init_ms, None
        self.invoke = InvokeRun(self._state, self._waiting.popleft(), init_ms, self._invoke_ended)
        self.invoke.begin()

    def _inner_init_ended(self, fatal: Fatal | None) -> None:
        run, self._init = self._init, None
        assert self.invoke is not None
        self.invoke.suppressed_init_ms = run.duration_ms if run is not None else 0.0
        if fatal is None:
            self.invoke.start()
        else:
            self.invoke.fail(fatal)

    def _invoke_deadline_passed(self, run: InvokeRun) -> None:
        if self._init is not None:
            self._init.fail(run.timeout)
        else:
            run.fail(run.timeout)

    def _invoke_ended(self, fatal: Fatal | None) -> None:
        self.invoke = None
        if fatal is not None:
            self._begin_reset(_reason(fatal))
            return
        self.phase = IDLE
        self._advance()

    def _begin_reset(self, reason: str) -> None:
        self.phase = RESET
        self._state.thaw()
        self._shutdown = ShutdownRun(self._state, SPINDOWN if self._is_ending else reason, self._reset_ended)
        self._shutdown.begin()

    def _reset_ended(self) -> None:
        self._shutdown = None
        self._state.fatal = None
        self.phase = COLD
        self._advance()

    def _fail(self, fatal: Fatal) -> None:
        if self._init is not None:
            self._init.fail(fatal)
        elif self.invoke is not None:
            self.invoke.fail(fatal)
        elif self.phase == IDLE and not self._state.policy.idle_crash_fails_next_invocation:
            self._state.thaw()
            self._begin_reset(_reason(fatal))

    def _process_is_gone(self, process: str, fatal: Fatal) -> None:
        if self._shutdown is not None:
            self._shutdown.process_ended(process)
        else:
            self._fail(self._state.note_fatal(fatal))

    def _forget_internal_subscribers(self) -> None:
        """They listened in the runtime's process."""
        for extension in self._state.registry.all():
            if not extension.is_external:
                self._state.telemetry.forget(extension.name)

    def _extension_of(self, process: str) -> Extension | None:
        if process == RUNTIME:
            return None
        return self._state.registry.by_name(process.removeprefix(extension_process("")))

    def _turn_away_the_waiting(self) -> None:
        """Nobody will run these any more."""
        for invocation in self._waiting:
            self._turn_away(invocation, "The environment was shut down")
        self._waiting.clear()

    def _turn_away(self, invocation: Invocation, why: str) -> None:
        """Answer and close at once what is not run."""
        fatal, request_id = Fatal(SANDBOX_FAILURE, why), invocation.request_id
        memory_mb = self._state.config.memory_mb
        emit = self._state.stage.emit
        emit(AnswerInvoker(Answer(request_id, fatal.answer(request_id), UNHANDLED)))
        emit(CloseInvocation(Report(request_id, fatal.status, fatal.error_type, 0.0, 0, memory_mb, 0, None)))

    def _refusal(self, invocation: Invocation) -> str | None:
        """An environment of a tenant-isolated function serves one tenant for life (lambda-platform-2026.md 7)."""
        if not self._state.config.tenant_isolation:
            return None
        if not invocation.tenant_id:
            return "The function isolates tenants and the invocation names none"
        self._tenant_id = self._tenant_id or invocation.tenant_id
        return None if invocation.tenant_id == self._tenant_id else "The environment serves another tenant"


def _reason(fatal: Fatal) -> str:
    return TIMEOUT if fatal.error_type == SANDBOX_TIMEOUT else FAILURE
