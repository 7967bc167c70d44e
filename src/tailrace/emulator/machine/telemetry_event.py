"""One telemetry event as the platform made it, and its text in the form that a subscriber wants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import c_make_encoder as make_encoder  # type: ignore[attr-defined]  # typeshed has only the rest
from json.encoder import encode_basestring as quoted

from tailrace.emulator.machine.telemetry_form import NEWEST, Form
from tailrace.protocol.platform_events import event
from tailrace.protocol.telemetry_api import EXTENSION, FUNCTION, PLATFORM


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _cannot_write(value: object) -> str:
    raise TypeError(f"JSON cannot write a {type(value).__name__}")


_write_json = make_encoder(None, _cannot_write, quoted, None, ":", ",", False, False, True)
"""What `json.JSONEncoder.encode` makes anew for each call, which takes longer than to write an event with it."""

_DECODER = json.JSONDecoder(parse_constant=_refuse)


class TelemetryEvent:
    """`record` is the newest form. `line` is what a process wrote, where it did; `raw` the JSON text of a record that
    is an object then: a line that is one is embedded as it is (lambda-platform.md 5.11)."""

    __slots__ = ("_encoded", "_form", "event_id", "line", "raw", "record", "time", "type")

    def __init__(
        self, event_id: int, time: str, type_: str, record: object, line: str | None = None, raw: str | None = None
    ) -> None:
        self.event_id = event_id
        self.time = time
        self.type = type_
        self.record = record
        self.line = line
        self.raw = raw
        self._form = NEWEST
        self._encoded = b""

    @property
    def category(self) -> str:
        """The name by which it is subscribed to."""
        return category_of(self.type)

    @property
    def is_plain(self) -> bool:
        """Whether its record is the line as it was written: by far the most are."""
        return self.record is self.line

    def mapping(self, form: Form) -> Mapping[str, object]:
        """The decoded event in this form."""
        return event(self.time, self.type, self._record(form))

    def encoded(self, form: Form) -> bytes:
        """Its JSON, UTF-8, on one line. The last one is kept: subscribers of one form come one after the other."""
        if form is not self._form or not self._encoded:
            self._encoded = self._encode(form)
            self._form = form
        return self._encoded

    def _encode(self, form: Form) -> bytes:
        line = self.line
        if line is not None and self.record is line and not form.keeps_newline:
            record = quoted(line)
        elif self.raw is not None and form.has_objects:
            record = self.raw
        else:
            record = "".join(_write_json(self._record(form), 0))
        text = f'{{"time":"{self.time}","type":"{self.type}","record":{record}}}'
        return text.encode("utf-8", "backslashreplace")

    def _record(self, form: Form) -> object:
        if self.line is None:
            return form.record(self.type, self.record)
        if self.record is self.line or not form.has_objects:
            return form.line(self.type, self.line)
        return self.record


def category_of(type_: str) -> str:
    return type_ if type_ in (FUNCTION, EXTENSION) else PLATFORM


def object_in(line: str) -> dict[str, object] | None:
    """The JSON object that a line is, or None where it is anything else."""
    if not line.startswith("{") and not line.lstrip().startswith("{"):
        return None
    try:
        value = _whole_value(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _whole_value(line: str) -> object:
    """What `decode` says, sooner where the line is the value and nothing else, as those of loggers are."""
    if line.startswith("{"):
        value, end = _DECODER.raw_decode(line)
        if end == len(line):
            return value
    return _DECODER.decode(line)


def object_event(
    event_id: int, time: str, type_: str, line: str, found: dict[str, object] | None, request_id: str | None
) -> TelemetryEvent:
    """The event of a line under the JSON log format: an object stays one, and anything else is wrapped in one;
    `request_id` None leaves it out (lambda-platform.md 5.11)."""
    if found is not None:
        return TelemetryEvent(event_id, time, type_, found, line, line)
    wrapped = {"timestamp": time, "level": "INFO", "message": line}
    raw = f'{{"timestamp":"{time}","level":"INFO","message":{quoted(line)}'
    if request_id is not None:
        wrapped["requestId"] = request_id
        raw += f',"requestId":{quoted(request_id)}'
    return TelemetryEvent(event_id, time, type_, wrapped, line, raw + "}")
