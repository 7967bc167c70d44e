"""What happens in an environment, told twice: as telemetry events and as lines of the function's log stream."""

from __future__ import annotations

from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.machine.effects import WriteLog
from tailrace.emulator.machine.facts import RUNTIME, extension_process
from tailrace.emulator.machine.log_levels import application_level, is_shown, line_is_shown
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.machine.stage import Stage
from tailrace.emulator.machine.telemetry import Telemetry
from tailrace.emulator.machine.telemetry_event import TelemetryEvent, object_in
from tailrace.emulator.machine.telemetry_form import NEWEST
from tailrace.protocol import platform_events
from tailrace.protocol.telemetry_api import EXTENSION, FUNCTION, PLATFORM

_EXTENSION_PREFIX = extension_process("")
_LOG_LEVEL = "AWS_LAMBDA_LOG_LEVEL"


class Journal:
    """Text log streams show the platform's lines, JSON ones its events (lambda-platform.md 8.1).

    `request_id` is the invocation that the platform's words belong to, `worked_for` the one that processes' lines
    belong to: it begins earlier where the invocation has to initialise first. None between invocations.
    """

    def __init__(self, stage: Stage, config: FunctionConfig, policy: Policy) -> None:
        self._stage = stage
        self._policy = policy
        self._json_format = config.log_format.upper() == "JSON"
        self._level = application_level(config.environment.get(_LOG_LEVEL))
        self.telemetry = Telemetry(stage, policy, self._heard)
        self.request_id: str | None = None
        self.worked_for: str | None = None

    def platform(self, type_: str, record: object, *lines: str) -> None:
        """Publish a platform event; `lines` stand for it in a text log stream."""
        if type_ == platform_events.REPORT and isinstance(record, dict):
            self.telemetry.to_subscribers(platform_events.END, {"requestId": record["requestId"]})
        self.telemetry.platform(type_, record)
        self.text(*lines)

    def text(self, *lines: str) -> None:
        """Lines of a text log stream that stand for no event."""
        if not self._json_format:
            for line in lines:
                self._write(PLATFORM, line)

    def fault(self, text: str) -> None:
        """What went wrong, in the words of a text log; an event of the Logs API only (lambda-platform.md 6.14)."""
        self.telemetry.to_subscribers(platform_events.FAULT, text)

    def line(self, process: str, text: str) -> None:
        """A line that a process wrote; the runtime's are the function's."""
        is_function = process == RUNTIME
        source = FUNCTION if is_function else EXTENSION
        if self._json_format:
            self._json_line(source, process, text)
        else:
            self._stage.emit(WriteLog(source, text, self.worked_for, process.removeprefix(_EXTENSION_PREFIX)))
            self.telemetry.plain_line(source, self._record(text))

    def _json_line(self, source: str, process: str, text: str) -> None:
        """Only the function's own lines have a level to be filtered by (lambda-platform.md 5.11)."""
        found = object_in(text)
        shown = source == EXTENSION or line_is_shown(found, self._level)
        if shown:
            self._stage.emit(WriteLog(source, text, self.worked_for, process.removeprefix(_EXTENSION_PREFIX)))
        if shown or not self._policy.log_level_filters_telemetry:
            known_id = self.worked_for if self._policy.wrapped_lines_carry_request_id else None
            self.telemetry.json_line(source, self._record(text), found, known_id)

    def _record(self, text: str) -> str:
        if text.endswith("\r") and self._policy.telemetry_strips_carriage_return:
            return text[:-1]
        return text

    def _heard(self, event: TelemetryEvent) -> None:
        if self._json_format and is_shown(event.type, event.record, self._policy.system_log_level):
            self._write(PLATFORM, event.encoded(NEWEST).decode("utf-8"))

    def _write(self, source: str, text: str) -> None:
        self._stage.emit(WriteLog(source, text, self.request_id))
