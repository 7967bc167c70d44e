"""How severe a record is, as far as it says so itself. Pure; nothing is guessed: what does not say has no severity.

Understood are JSON lines (`level`, `severity` and their relatives, as words or as numbers), the formats of Lambda's
own runtimes (lambda-platform.md 8), logfmt's ``level=``, and a level in capitals among the first words of a line.
"""

from __future__ import annotations

from tailrace.config.tables import LEVELS
from tailrace.protocol.jsontext import loads

TRACE, DEBUG, INFO, WARN, ERROR, FATAL = LEVELS
RANKS = {level: rank for rank, level in enumerate(LEVELS)}

_WORDS = {
    "trace": TRACE, "trce": TRACE, "finest": TRACE, "silly": TRACE, "verbose": TRACE,
    "debug": DEBUG, "dbug": DEBUG, "fine": DEBUG, "finer": DEBUG,
    "info": INFO, "information": INFO, "informational": INFO, "notice": INFO, "log": INFO,
    "warn": WARN, "warning": WARN,
    "error": ERROR, "err": ERROR, "fail": ERROR, "severe": ERROR, "exception": ERROR,
    "fatal": FATAL, "critical": FATAL, "crit": FATAL, "alert": FATAL, "panic": FATAL,
    "emergency": FATAL, "emerg": FATAL,
}  # fmt: skip
# In running text only words that hardly mean anything else, and only in capitals.
_LOUD_WORDS = {
    word.upper(): level
    for word, level in _WORDS.items()
    if word in ("trace", "debug", "info", "notice", "warn", "warning", "error", "severe", "fatal", "critical")
}
_WORD_MEMBERS = (
    "level", "severity", "severityText", "severity_text", "SeverityText", "levelname", "log.level", "lvl",
    "Level", "LogLevel", "logLevel", "log_level", "loglevel", "Severity",  # .NET's console and Serilog, and others
    "@l", "@level",  # Serilog's compact form, HashiCorp's
)  # fmt: skip
_NUMBER_MEMBERS = ("severityNumber", "severity_number", "SeverityNumber")
_STARTS = (
    ("START RequestId: ", INFO),
    ("END RequestId: ", INFO),
    ("REPORT RequestId: ", INFO),
    ("INIT_START ", INFO),
    ("Traceback (most recent call last)", ERROR),
)
_LOGFMT = ("level=", "severity=", "lvl=")
_HEAD_CHARACTERS = 160
_HEAD_WORDS = 6
_MOST_JSON_CHARACTERS = 262_144


def severity_of(event: object) -> str | None:
    """One of `LEVELS`, or None where the event does not say. `event` is a decoded telemetry event."""
    if not isinstance(event, dict):
        return None
    kind, record = event.get("type"), event.get("record")
    if isinstance(kind, str) and kind.startswith("platform."):
        return _of_platform(kind, record)
    return severity_of_line(record)


def severity_of_line(record: object) -> str | None:
    """The same for what a function or an extension wrote: an object, or a text."""
    if isinstance(record, dict):
        return _of_object(record)
    if not isinstance(record, str):
        return None
    text = record.lstrip()
    if text.startswith("{") and len(text) <= _MOST_JSON_CHARACTERS:
        try:
            value = loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return _of_object(value)
    return _of_text(text)


def _of_platform(kind: str, record: object) -> str | None:
    """Invocations that failed (lambda-platform.md 6): an error; what the platform lost: a warning."""
    if kind == "platform.logsDropped":
        return WARN
    if kind == "platform.fault":
        return ERROR
    status = record.get("status") if isinstance(record, dict) else None
    if not isinstance(status, str):
        return INFO
    return INFO if status == "success" else ERROR


def _of_object(record: dict[str, object]) -> str | None:
    for member in _WORD_MEMBERS:
        value = record.get(member)
        if isinstance(value, str) and value.strip().lower() in _WORDS:
            return _WORDS[value.strip().lower()]
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 3:
            return _of_pino(int(value))
        if isinstance(value, int) and not isinstance(value, bool):
            return _of_pino(value)
    for member in _NUMBER_MEMBERS:
        value = record.get(member)
        if isinstance(value, int) and not isinstance(value, bool):
            return _of_otel(value)
    python = record.get("levelno")
    if isinstance(python, int) and not isinstance(python, bool):
        return _of_python(python)
    nested = record.get("log")  # Elastic Common Schema
    level = nested.get("level") if isinstance(nested, dict) else None
    return _WORDS.get(level.strip().lower()) if isinstance(level, str) else None


def _of_pino(number: int) -> str | None:
    """Pino's and bunyan's: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal; below 10 syslog's may be meant,
    or anything else."""
    return LEVELS[min(number // 10, 6) - 1] if number >= 10 else None


def _of_python(number: int) -> str | None:
    """The logging module's: 10 debug, 20 info, 30 warning, 40 error, 50 critical."""
    return LEVELS[min(number // 10, 5)] if number > 0 else None


def _of_otel(number: int) -> str | None:
    """OpenTelemetry's: 1 to 4 trace, and four more for each of the others, up to 24."""
    return LEVELS[(number - 1) // 4] if 1 <= number <= 24 else None


def _of_text(text: str) -> str | None:
    for start, level in _STARTS:
        if text.startswith(start):
            return level
    head = text[:_HEAD_CHARACTERS]
    if head.startswith("[") and "]" in head:  # Python's runtime: [LEVEL]<tab>time<tab>id<tab>message
        named = _WORDS.get(head[1 : head.index("]")].strip().lower())
        if named is not None:
            return named
    fields = head.split("\t", 3)
    if len(fields) == 4:  # Node's and .NET's: time<tab>id<tab>LEVEL<tab>message
        named = _WORDS.get(fields[2].strip().lower())
        if named is not None:
            return named
    return _of_words(head)


def _of_words(head: str) -> str | None:
    words = head.split(None, _HEAD_WORDS)[:_HEAD_WORDS]
    for word in words:
        level = _LOUD_WORDS.get(word.strip("[]():|<>-,"))
        if level is not None:
            return level
    for word in words:
        for start in _LOGFMT:
            if word.startswith(start):
                return _WORDS.get(word[len(start) :].strip("\"'").lower())
    if "Task timed out after " in head or (head.startswith("RequestId: ") and " Error: " in head):
        return ERROR
    return None
