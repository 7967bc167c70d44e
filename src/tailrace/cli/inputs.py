"""What a user types, checked: events and variables. Everything wrong raises `UsageError` (exit code 2)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

from tailrace.errors import UsageError


def read_event(text: str, stdin: TextIO) -> bytes:
    """The event for the function as JSON bytes, from JSON text, ``@FILE`` or ``-`` (standard input)."""
    place, content = _event_text(text, stdin)
    try:
        json.loads(content)
    except ValueError as error:
        raise UsageError("--event", f"{place} is not JSON ({error})", _event_hint(text)) from None
    return content.encode()


def _event_text(text: str, stdin: TextIO) -> tuple[str, str]:
    if text == "-":
        return "standard input", stdin.read()
    if not text.startswith("@"):
        return f"“{_shortened(text)}”", text
    path = Path(text[1:])
    try:
        return f"the content of {path}", path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError("--event", f"cannot read {path}: {error.strerror}", "give JSON, @FILE or -") from None
    except UnicodeDecodeError:
        raise UsageError("--event", f"{path} is not UTF-8 text", "give a file that holds JSON") from None


def _event_hint(text: str) -> str:
    if Path(text).is_file():
        return f"to read the file, write --event @{text}"
    return """give JSON such as '{"key": "value"}', @FILE, or - for standard input"""


def _shortened(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def read_variables(entries: Iterable[str], host: Mapping[str, str]) -> dict[str, str]:
    """Variables from ``K=V``, or ``K`` alone to copy it from the host. The last one of a name holds."""
    variables: dict[str, str] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not name:
            raise UsageError("--env", f'no name in "{entry}"', "write NAME=VALUE, or NAME to copy it from here")
        if not equals:
            if name not in host:
                raise UsageError("--env", f"{name} is not set here", f"set it, or write --env {name}=VALUE")
            value = host[name]
        variables[name] = value
    return variables
