"""How many records a telemetry body holds, before it is split: what is acknowledged is counted first."""

from __future__ import annotations

_FIRST = b'[{"time":"'
_BEGIN = b'{"time":"'
_NESTED = b':{"time":"'
_BETWEEN = b'},{"'


def record_count(content: bytes) -> int:
    """At least one.

    The service writes events without blanks and with `time` first (lambda-platform.md 5.6): their beginnings can be
    counted. A body in which that is not plain is split for it, which costs twenty times as much. Too high is the count
    only where a logged list holds objects of that form behind others.
    """
    n = 1 + content.count(_BETWEEN)
    if content.startswith(_FIRST) and content.count(_BEGIN) - content.count(_NESTED) == n:
        return n
    from tailrace.protocol.events import split_events

    split = split_events(content)
    return max(1, len(split.events) + bool(split.unparsable_bytes))
