"""One telemetry event as the platform made it, and the forms in which subscribers of each schema get it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tailrace.protocol.platform_events import as_version, event
from tailrace.protocol.telemetry_api import EXTENSION, FUNCTION, PLATFORM, SCHEMA_2022_07_01

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class TelemetryEvent:
    """`record` is the newest form. `line` is what a process wrote, where it did; `raw` its JSON text where the record
    is that very object, which is then embedded as it is (lambda-platform.md 5.11)."""

    __slots__ = ("_encoded", "_mapping", "event_id", "line", "raw", "record", "time", "type")

    def __init__(
        self, event_id: int, time: str, type_: str, record: object, line: str | None = None, raw: str | None = None
    ) -> None:
        self.event_id = event_id
        self.time = time
        self.type = type_
        self.record = record
        self.line = line
        self.raw = raw
        self._encoded: dict[str, bytes] = {}
        self._mapping = event(time, type_, record)

    @property
    def category(self) -> str:
        """The name by which it is subscribed to."""
        return self.type if self.type in (FUNCTION, EXTENSION) else PLATFORM

    def mapping(self, schema_version: str) -> Mapping[str, object]:
        """The decoded event, as a subscriber of `schema_version` gets it."""
        record = self._record(schema_version)
        return self._mapping if record is self.record else event(self.time, self.type, record)

    def encoded(self, schema_version: str) -> bytes:
        """Its JSON, UTF-8, on one line."""
        found = self._encoded.get(schema_version)
        if found is None:
            found = self._encode(schema_version)
            self._encoded[schema_version] = found
        return found

    def _encode(self, schema_version: str) -> bytes:
        if self.raw is not None and schema_version > SCHEMA_2022_07_01:
            record = self.raw
        else:
            record = _ENCODER.encode(self._record(schema_version))
        text = f'{{"time":"{self.time}","type":"{self.type}","record":{record}}}'
        return text.encode("utf-8", "backslashreplace")

    def _record(self, schema_version: str) -> object:
        if self.record is self.line:  # by far the most
            return self.record
        if self.line is not None and schema_version <= SCHEMA_2022_07_01:
            return self.line
        return as_version(self.type, self.record, schema_version)


def line_event(
    event_id: int, time: str, type_: str, line: str, json_format: bool, request_id: str | None
) -> TelemetryEvent:
    """The event of a line that a process wrote. Under the JSON log format an object stays one, and anything else is
    wrapped in one; `request_id` None leaves it out (lambda-platform.md 5.11)."""
    if not json_format:
        return TelemetryEvent(event_id, time, type_, line, line)
    found = _object_in(line)
    if found is not None:
        return TelemetryEvent(event_id, time, type_, found, line, line)
    wrapped = {"timestamp": time, "level": "INFO", "message": line}
    if request_id is not None:
        wrapped["requestId"] = request_id
    return TelemetryEvent(event_id, time, type_, wrapped, line)


def _object_in(line: str) -> dict[str, object] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
