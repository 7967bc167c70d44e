"""Telemetry events as text: a POST's body split without re-encoding, and the line an event becomes.

An event's own text is kept byte for byte, so that nothing is lost in translation: number forms, order of members,
unknown members, odd records. See `platform_events` for what the known events say (lambda-platform.md 6).
"""

from __future__ import annotations

from tailrace.protocol.jsontext import (
    MAX_DEPTH,
    depth_is_within,
    dumps,
    quote,
    scan_exact,
    skip_blanks,
)


class Event:
    """One event of a body. `raw` is its JSON text without line breaks, `value` the decoded value.

    `time` and `type` are its members of that name where it is an object and they are strings, else empty.
    """

    __slots__ = ("raw", "time", "type", "value")

    def __init__(self, raw: str, value: object) -> None:
        self.raw = raw
        self.value = value
        time = kind = None
        if isinstance(value, dict):
            time, kind = value.get("time"), value.get("type")
        self.time = time if isinstance(time, str) else ""
        self.type = kind if isinstance(kind, str) else ""

    def __repr__(self) -> str:
        return f"Event({self.raw!r})"


class SplitBody:
    """The events of a body in order, and how many bytes at its end were not JSON."""

    __slots__ = ("events", "unparsable_bytes")

    def __init__(self, events: list[Event], unparsable_bytes: int) -> None:
        self.events = events
        self.unparsable_bytes = unparsable_bytes


def split_events(body: bytes) -> SplitBody:
    """Split a telemetry POST's body, a JSON array, into its events. Never raises.

    Whatever stands in the array passes through whole. Where the text stops being JSON (the service cuts oversized
    records, lambda-platform.md 5.10), the events before that place are kept and the rest is counted. A body that is
    not an array is read as JSON values one after the other. Invalid UTF-8 becomes U+FFFD.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("utf-8", "replace")
    start = skip_blanks(text, 1 if text.startswith("\ufeff") else 0)
    in_array = text.startswith("[", start)
    events: list[Event] = []
    if in_array:
        start = skip_blanks(text, start + 1)
    is_shallow = depth_is_within(body, MAX_DEPTH)
    taken: int | None = start
    while taken is not None:
        start = _take_quickly(text, taken, in_array, events) if is_shallow else taken
        taken = _take_one_carefully(text, start, in_array, events)
    if in_array and text.startswith("]", start):
        start = skip_blanks(text, start + 1)
    return SplitBody(events, len(text[start:].encode("utf-8")))


def _take_quickly(text: str, index: int, in_array: bool, events: list[Event]) -> int:
    """Append events while the C scanner takes them; the index of what it did not take."""
    end = len(text)
    append = events.append
    one_line = "\n" not in text and "\r" not in text
    if not one_line:
        from tailrace.protocol.odd_json import on_one_line
    try:
        while index < end:
            value, stop = scan_exact(text, index)
            raw = text[index:stop]
            append(Event(raw if one_line else on_one_line(raw), value))
            # compact bodies: the usual case
            index = stop + 1 if in_array and text.startswith(",{", stop) else _next_element(text, stop, in_array)
    except (StopIteration, ValueError, RecursionError, SystemError):
        pass  # it is at `index`, and for somebody more careful
    return index


def _take_one_carefully(text: str, index: int, in_array: bool, events: list[Event]) -> int | None:
    """Append one event that the C scanner gave up on, if it is JSON at all; the index of what follows, or None."""
    if index >= len(text) or (in_array and text[index] == "]"):
        return None
    from tailrace.protocol.odd_json import decode, end_of_value, on_one_line

    stop = end_of_value(text, index)
    if stop is None:
        return None
    raw = text[index:stop]
    try:
        event = Event(on_one_line(raw), decode(raw, 2))
    except (ValueError, RecursionError):
        return None
    events.append(event)
    return _next_element(text, stop, in_array)


def _next_element(text: str, index: int, in_array: bool) -> int:
    """Where the next value may begin: behind blanks and, in an array, one comma."""
    index = skip_blanks(text, index)
    if in_array and text.startswith(",", index):
        index = skip_blanks(text, index + 1)
    return index


def request_id_of(value: object) -> str | None:
    """The `record.requestId` of a platform event, or None."""
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    record = value.get("record")
    if not isinstance(kind, str) or not kind.startswith("platform.") or not isinstance(record, dict):
        return None
    request_id = record.get("requestId")
    return request_id if isinstance(request_id, str) and request_id else None


_MEMBERS_KEPT = 16
_members: dict[tuple[str | None, str], str] = {}


def _same_members(request_id: str | None, function_name: str) -> str:
    """What all lines of an invocation have in common, up to the number: written once, for it is written often."""
    text = _members.get((request_id, function_name))
    if text is None:
        requested = "null" if request_id is None else quote(request_id)
        text = f'"requestId":{requested},"functionName":{quote(function_name)},"seq":'
        if len(_members) >= _MEMBERS_KEPT:
            _members.clear()
        _members[request_id, function_name] = text
    return text


def line_of(raw: str | None, event: object, request_id: str | None, function_name: str, seq: int) -> bytes:
    """One NDJSON line, without its line break: the event's own text with our three members added at its end.

    `raw` is the text and `event` its value, as `split_events` gave them; where `raw` is None the event is written
    anew. An event that is not an object becomes ``{"record": <event>, ...}``. A member that the event has already
    stands, and ours of that name is left out.
    """
    if raw is None:
        raw = dumps(event)
    known = event if isinstance(event, dict) else None
    body = f'{{"record":{raw}' if known is None else raw[:-1]
    if not known or ("requestId" not in known and "functionName" not in known and "seq" not in known):
        comma = "," if known is None or known else ""
        text = f"{body}{comma}{_same_members(request_id, function_name)}{seq}}}"
    else:
        requested = "null" if request_id is None else quote(request_id)
        added = {"requestId": requested, "functionName": quote(function_name), "seq": str(seq)}
        text = body + "".join([f',"{name}":{own}' for name, own in added.items() if name not in known]) + "}"
    return text.encode("utf-8", "backslashreplace")
