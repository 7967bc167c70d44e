"""Recognising the agent's own lines among telemetry. Shipping them would tell the user's back end about itself,
and each delivery would make the next one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.model.record import Record

OWN_TYPES = ("tailrace.log", "tailrace.ledger", "tailrace.metrics")
_OWN_STARTS = tuple(f'{{"type":"{own_type}"' for own_type in OWN_TYPES)


def is_own_line(record: Record) -> bool:
    """Whether this is a line that the agent wrote to its standard output.

    The platform hands it back as a record of type ``extension``: as the string it was, or, with the JSON log format,
    as the object (lambda-platform.md 5.11). Nothing names the extension that wrote it (lambda-platform.md 6.16), so
    the line says it itself in its first member.
    """
    if record.type != "extension" or not isinstance(record.event, dict):
        return False
    line = record.event.get("record")
    if isinstance(line, str):
        return line.startswith(_OWN_STARTS)
    return isinstance(line, dict) and line.get("type") in OWN_TYPES
