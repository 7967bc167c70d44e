"""Cutting a record that is larger than a destination takes: most of it is better than nothing of it."""

from __future__ import annotations

from tailrace.protocol.jsontext import dumps, loads, quote

MARK = "truncated"
_LEAST_TEXT_BYTES = 16  # below this nothing worth sending is left


def truncated_line(data: bytes, max_bytes: int) -> bytes | None:
    """The NDJSON line `data` with its `record` cut so that the line has `max_bytes` at most, and a member
    ``"truncated":{"originalBytes":N}`` that says so. None where there is nothing to cut.

    A record that is no text is cut as the JSON text that it is. Cutting again keeps the first size.
    """
    try:
        line = loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or "record" not in line:
        return None
    record = line.pop("record")
    text = record if isinstance(record, str) else dumps(record)
    line.setdefault(MARK, {"originalBytes": len(data)})
    rest = dumps(line)[1:]
    room = max_bytes - len('{"record":,') - len(rest)
    quoted = _cut(text, room)
    return None if quoted is None else f'{{"record":{quoted},{rest}'.encode("ascii", "backslashreplace")


def _cut(text: str, max_bytes: int) -> str | None:
    """The longest beginning of `text` that fits as a JSON string, nearly: escapes need more room."""
    if max_bytes < _LEAST_TEXT_BYTES:
        return None
    kept = text[: max_bytes - 2]
    quoted = quote(kept)
    while len(quoted) > max_bytes:
        kept = kept[: len(kept) * max_bytes // len(quoted)]
        if kept and "\ud800" <= kept[-1] <= "\udbff":
            kept = kept[:-1]
        quoted = quote(kept)
    return quoted if kept else None
