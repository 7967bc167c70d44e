"""What happens in an environment, told twice: as telemetry events and as lines of the function's log stream."""

from __future__ import annotations

from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.machine.effects import WriteLog
from tailrace.emulator.machine.facts import RUNTIME, extension_process
from tailrace.emulator.machine.log_levels import is_shown
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.machine.stage import Stage
from tailrace.emulator.machine.telemetry import Telemetry
from tailrace.emulator.machine.telemetry_event import TelemetryEvent
from tailrace.protocol.telemetry_api import EXTENSION, FUNCTION, PLATFORM, SCHEMA_2025_01_29

_EXTENSION_PREFIX = extension_process("")


class Journal:
    """Text log streams show the platform's lines, JSON ones its events (lambda-platform.md 8.1).

    `request_id` is the invocation that the platform's words belong to, `worked_for` the one that processes' lines
    belong to: it begins earlier where the invocation has to initialise first. None between invocations.
    """

    def __init__(self, stage: Stage, config: FunctionConfig, policy: Policy) -> None:
        self._stage = stage
        self._policy = policy
        self._json_format = config.log_format.upper() == "JSON"
        self.telemetry = Telemetry(stage, policy, self._heard)
        self.request_id: str | None = None
        self.worked_for: str | None = None

    def platform(self, type_: str, record: object, *lines: str) -> None:
        """Publish a platform event; `lines` stand for it in a text log stream."""
        self.telemetry.platform(type_, record)
        self.text(*lines)

    def text(self, *lines: str) -> None:
        """Lines of a text log stream that stand for no event."""
        if not self._json_format:
            for line in lines:
                self._write(PLATFORM, line)

    def line(self, process: str, text: str) -> None:
        """A line that a process wrote; the runtime's are the function's."""
        is_function = process == RUNTIME
        known_id = self.worked_for if self._policy.wrapped_lines_carry_request_id else None
        source = FUNCTION if is_function else EXTENSION
        name = process.removeprefix(_EXTENSION_PREFIX)
        self._stage.emit(WriteLog(source, text, self.worked_for, name))
        self.telemetry.line(source, text, self._json_format, known_id)

    def _heard(self, event: TelemetryEvent) -> None:
        if not self._json_format or event.category != PLATFORM:
            return
        if is_shown(event.type, event.record, self._policy.system_log_level):
            self._write(PLATFORM, event.encoded(SCHEMA_2025_01_29).decode("utf-8"))

    def _write(self, source: str, text: str) -> None:
        self._stage.emit(WriteLog(source, text, self.request_id))
