"""Which platform events and which lines a JSON log stream shows at which log level (lambda-platform.md 5.11)."""

from __future__ import annotations

from tailrace.protocol import platform_events as kinds

LEVELS = ("DEBUG", "INFO", "WARN")
APPLICATION_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
DEFAULT_LEVEL = "INFO"
_RANKS = {level: rank for rank, level in enumerate(APPLICATION_LEVELS)}
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


def application_level(value: object) -> str:
    """The level that a record or a setting names; one that is none counts as INFO."""
    name = value.upper() if isinstance(value, str) else DEFAULT_LEVEL
    return name if name in _RANKS else DEFAULT_LEVEL


def line_is_shown(record: dict[str, object] | None, threshold: str) -> bool:
    """Whether a function's line passes; `record` is the JSON object that it is, or None."""
    level = application_level(None if record is None else record.get("level", DEFAULT_LEVEL))
    return _RANKS[level] >= _RANKS[threshold]
