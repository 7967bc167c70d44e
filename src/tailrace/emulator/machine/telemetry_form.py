"""In which form a subscriber gets events: of which API, which schema, with or without the end of a line."""

from __future__ import annotations

from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import logs_api, logs_events, platform_events
from tailrace.protocol.telemetry_api import (
    FUNCTION,
    HTTP,
    SCHEMA_2022_07_01,
    SCHEMA_2025_01_29,
    SCHEMA_VERSIONS,
)


class Form:
    """What one schema version makes of events. Forms are compared by identity: there is one of each (`Forms`).

    `keeps_newline` says whether a function's line ends in the line feed it was written with (lambda-platform.md
    5.10), `has_objects` whether a JSON log line may be an object (5.11).
    """

    __slots__ = ("has_objects", "is_logs", "keeps_newline", "schema_version")

    def __init__(self, schema_version: str, keeps_newline: bool = False) -> None:
        self.schema_version = schema_version
        self.is_logs = schema_version in logs_api.SCHEMA_VERSIONS
        self.has_objects = schema_version > SCHEMA_2022_07_01
        self.keeps_newline = keeps_newline

    def has(self, type_: str) -> bool:
        """Whether subscribers of this form get events of the type."""
        if self.is_logs:
            return logs_events.exists_in(type_, self.schema_version)
        return type_ not in logs_events.ONLY_HERE and platform_events.exists_in(type_, self.schema_version)

    def record(self, type_: str, record: object) -> object:
        """The record of a platform event in this form."""
        if self.is_logs:
            return logs_events.as_logs_record(type_, record)
        return platform_events.as_version(type_, record, self.schema_version)

    def line(self, type_: str, text: str) -> str:
        """A line that a process wrote, where it stays a text."""
        return text + "\n" if self.keeps_newline and type_ == FUNCTION else text


NEWEST = Form(SCHEMA_2025_01_29)
"""How events are shown to whoever watches, subscribed to or not."""


class Forms:
    """One form for each schema version, as the policy has it."""

    def __init__(self, policy: Policy) -> None:
        self._forms = {version: Form(version, policy.telemetry_api_keeps_newline) for version in SCHEMA_VERSIONS}
        if not policy.telemetry_api_keeps_newline:
            self._forms[SCHEMA_2025_01_29] = NEWEST
        for version in logs_api.SCHEMA_VERSIONS:
            self._forms[version] = Form(version, policy.logs_api_keeps_newline)

    def of(self, schema_version: str) -> Form:
        return self._forms[schema_version]


def framed(parts: list[bytes], protocol: str) -> bytes:
    """A batch on the wire: a JSON array over HTTP, one event a line over TCP (lambda-platform.md 5.6, 5.7)."""
    if protocol == HTTP:
        return b"[" + b",".join(parts) + b"]"
    return b"\n".join(parts) + b"\n"
