"""One init: all extensions, then the runtime, until everybody has called `next` (lambda-platform.md 4.1)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from tailrace.emulator.machine.effects import ReportInit
from tailrace.emulator.machine.facts import RUNTIME, extension_process
from tailrace.emulator.machine.fatal import EXTENSION_LAUNCH_ERROR, SANDBOX_TIMEOUT, Fatal
from tailrace.emulator.machine.init_kind import belongs_to_first_invocation, init_limit_ms
from tailrace.emulator.machine.registry import Extension
from tailrace.emulator.machine.sandbox_state import SandboxState
from tailrace.emulator.machine.states import LAUNCH_ERROR
from tailrace.protocol import platform_events, report
from tailrace.protocol.extensions_api import MAX_EXTENSIONS
from tailrace.protocol.platform_events import PHASE_INIT, SUCCESS

INIT_DEADLINE = "init-deadline"


class InitRun:
    """Runs once. `ended` is told None, or the fatal error that ended it.

    `phase` is ``init``, limited by its own ten seconds, or ``invoke``: inside an invocation, limited by that one's
    deadline (lambda-platform.md 4.2).
    """

    def __init__(self, state: SandboxState, phase: str, ended: Callable[[Fatal | None], None]) -> None:
        self._state = state
        self._phase = phase
        self._ended = ended
        self._began_ns = state.stage.now_ns
        self._runtime_is_ready = False
        self._ready_ms: dict[str, float] = {}
        self.duration_ms = 0.0

    def begin(self) -> None:
        state = self._state
        state.begin_generation()
        self._publish_start()
        if self._phase == PHASE_INIT:
            state.stage.set_timer(INIT_DEADLINE, init_limit_ms(state.config))
        externals = state.registry.externals()
        if len(externals) > MAX_EXTENSIONS:
            self._refuse(externals[MAX_EXTENSIONS:])
            return
        for extension in externals:
            state.processes.spawn(extension_process(extension.name), state.environ_of_extensions())
        self.extension_registered()

    def extension_registered(self) -> None:
        """The runtime is started when every external extension has registered."""
        processes = self._state.processes
        if self._state.registry.all_externals_registered and not processes.was_spawned(RUNTIME):
            processes.spawn(RUNTIME, self._state.environ_of_runtime())

    def runtime_ready(self) -> None:
        """The runtime called `next`: registration closes, the subscription window does not yet."""
        self._runtime_is_ready = True
        self._state.registry.is_open = False
        self._ready_ms[RUNTIME] = self._elapsed_ms()
        self._check()

    def extension_ready(self, extension: Extension) -> None:
        if extension.is_external:
            self._ready_ms[extension_process(extension.name)] = self._elapsed_ms()
        self._check()

    def deadline_passed(self) -> None:
        limit_s = init_limit_ms(self._state.config) / 1000
        self.fail(Fatal(SANDBOX_TIMEOUT, f"Init timed out after {limit_s:.2f} seconds"))

    def fail(self, fatal: Fatal) -> None:
        self._state.note_fatal(fatal)
        self._finish(fatal)

    def _check(self) -> None:
        if self._runtime_is_ready and self._state.registry.all_ready:
            self._finish(None)

    def _finish(self, fatal: Fatal | None) -> None:
        state = self._state
        self.duration_ms = self._elapsed_ms()
        state.stage.cancel_timer(INIT_DEADLINE)
        state.registry.is_open = False
        state.telemetry.close_window()
        status = fatal.status if fatal else SUCCESS
        error_type = fatal.shown_type if fatal else ""
        self._publish_end(status, error_type)
        message = fatal.message if fatal else ""
        state.stage.emit(ReportInit(self._phase, status, error_type, message, self.duration_ms, dict(self._ready_ms)))
        self._ended(fatal)

    def _publish_start(self) -> None:
        state, config = self._state, self._state.config
        version = runtime_version(config.runtime_name)
        arn = runtime_version_arn(config.region, version)
        record = platform_events.init_start(
            self._phase,
            config.name,
            config.version,
            version,
            arn,
            state.log_stream,
            config.memory_mb,
            config.policy.initialization_type,
        )
        lines = (report.init_start_line(version, arn),) if version else ()
        state.journal.platform(platform_events.INIT_START, record, *lines)

    def _publish_end(self, status: str, error_type: str) -> None:
        """All at once, as captured cold starts show it; `initRuntimeDone` only where there was a runtime."""
        journal, kind = self._state.journal, self._state.policy.initialization_type
        if self._state.processes.was_spawned(RUNTIME):
            done = platform_events.init_runtime_done(self._phase, status, error_type, kind)
            journal.platform(platform_events.INIT_RUNTIME_DONE, done)
        for extension in self._state.registry.all():
            cells = (extension.name, extension.state, extension.events, extension.error_type)
            journal.platform(
                platform_events.EXTENSION_STATE,
                platform_events.extension_state(*cells),
                report.extension_line(*cells),
            )
        record = platform_events.init_report(self._phase, status, self.duration_ms, error_type, kind)
        line = report.init_report_line(self.duration_ms, self._phase, status, error_type)
        journal.platform(platform_events.INIT_REPORT, record, *([line] if self._has_a_line(status) else []))

    def _has_a_line(self, status: str) -> bool:
        """An init that went well is told by the first REPORT, unless it ran ahead (lambda-platform.md 8.1)."""
        ran_ahead = self._phase == PHASE_INIT and not belongs_to_first_invocation(self._state.config)
        return status != SUCCESS or ran_ahead

    def _refuse(self, excess: tuple[Extension, ...]) -> None:
        for extension in excess:
            extension.state = LAUNCH_ERROR
            extension.error_type = "TooManyExtensions"
        names = ", ".join(extension.name for extension in excess)
        self.fail(Fatal(EXTENSION_LAUNCH_ERROR, f"Extension limit ({MAX_EXTENSIONS}) reached: {names}"))

    def _elapsed_ms(self) -> float:
        return platform_events.milliseconds(self._state.stage.now_ns - self._began_ns)


def runtime_version(runtime_name: str) -> str:
    """``python:3.13`` for ``python3.13`` and ``provided:al2023`` for ``provided.al2023``, as INIT_START words them.

    Anything else as it is.
    """
    return re.sub(r"^([a-z]+)(?:(\d[\d.]*x?)|\.([a-z]+\d+))$", r"\1:\2\3", runtime_name)


def runtime_version_arn(region: str, version: str) -> str:
    """Of the real form; the same version always has the same one."""
    digits = hashlib.sha256(version.encode()).hexdigest()
    return f"arn:aws:lambda:{region}::runtime:{digits}" if version else ""
