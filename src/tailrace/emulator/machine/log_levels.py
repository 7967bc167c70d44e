"""Which platform events a JSON log stream shows at which system log level (lambda-platform.md 5.11)."""

from __future__ import annotations

from tailrace.protocol import platform_events as kinds

LEVELS = ("DEBUG", "INFO", "WARN")
_QUIET_ON_SUCCESS = (
    kinds.INIT_RUNTIME_DONE,
    kinds.RUNTIME_DONE,
    kinds.RESTORE_RUNTIME_DONE,
    kinds.INIT_REPORT,
)


def system_level(type_: str, record: object) -> str:
    """The level of a platform event."""
    members = record if isinstance(record, dict) else {}
    failed = members.get("status", kinds.SUCCESS) != kinds.SUCCESS or "errorType" in members
    if failed or type_ == kinds.LOGS_DROPPED:
        return "WARN"
    if type_ in _QUIET_ON_SUCCESS:
        return "DEBUG"
    if type_ in (kinds.INIT_START, kinds.RESTORE_START) and "runtimeVersion" not in members:
        return "DEBUG"
    return "INFO"


def is_shown(type_: str, record: object, threshold: str) -> bool:
    return LEVELS.index(system_level(type_, record)) >= LEVELS.index(threshold)
