"""What the Logs API tells its subscribers: fewer events than the Telemetry API, with fewer members, and two of its
own (lambda-platform.md 7.2)."""

from __future__ import annotations

from tailrace.protocol import platform_events as kinds
from tailrace.protocol.logs_api import SCHEMA_2020_08_15, SCHEMA_2021_03_18

_METRICS = ("durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs")

MEMBERS: dict[str, tuple[str, ...]] = {
    kinds.START: ("requestId", "version"),
    kinds.RUNTIME_DONE: ("requestId", "status"),
    kinds.END: ("requestId",),
    kinds.REPORT: ("requestId", "metrics", "tracing"),
    kinds.EXTENSION_STATE: ("name", "state", "events"),
    kinds.LOGS_SUBSCRIPTION: ("name", "state", "types"),
    kinds.LOGS_DROPPED: ("reason", "droppedRecords", "droppedBytes"),
}
"""Records that are objects, and their members. `platform.fault`, `function` and `extension` are texts."""

SINCE: dict[str, str] = {kinds.RUNTIME_DONE: SCHEMA_2021_03_18}
EVENT_TYPES = (*MEMBERS, kinds.FAULT, kinds.FUNCTION, kinds.EXTENSION)
ONLY_HERE = (kinds.END, kinds.FAULT, kinds.LOGS_SUBSCRIPTION)
"""What the Telemetry API never delivers (lambda-platform.md 6.14, 12.1)."""


def exists_in(type_: str, version: str) -> bool:
    """Whether subscribers of schema `version` get events of this type."""
    return type_ in EVENT_TYPES and SINCE.get(type_, SCHEMA_2020_08_15) <= version


def as_logs_record(type_: str, record: object) -> object:
    """The record of an event as the Logs API writes it."""
    names = MEMBERS.get(type_)
    if names is None or not isinstance(record, dict):
        return record
    members = {name: record[name] for name in names if name in record}
    if type_ == kinds.RUNTIME_DONE and members.get("status") == kinds.ERROR:
        members["status"] = kinds.FAILURE  # its statuses are success, failure and timeout
    metrics = members.get("metrics")
    if type_ == kinds.REPORT and isinstance(metrics, dict):
        members["metrics"] = {name: metrics[name] for name in _METRICS if name in metrics}
    return members
