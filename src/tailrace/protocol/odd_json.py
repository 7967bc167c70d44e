"""JSON that the C scanner does not take, or that has line breaks in it: found and decoded with care. Loaded with the
first of it, for what the platform posts is compact."""

from __future__ import annotations

from tailrace.protocol.jsontext import MAX_DEPTH, RawText, depth_is_within, scan_string, scan_tolerant, skip_blanks

_ESCAPES = {code: f"\\u{code:04x}" for code in range(32)}
_BLANKS = str.maketrans("\r\n", "  ")


def end_of_value(text: str, start: int) -> int | None:
    """The index after the JSON value at `start`, found without recursion, or None where it does not end."""
    if text[start] == '"':
        return _end_of_string(text, start)
    if text[start] in "[{":
        return _end_of_brackets(text, start)
    end = start
    while end < len(text) and text[end] not in ',]}[{" \t\n\r':
        end += 1
    return end if end > start else None


def _end_of_string(text: str, start: int) -> int | None:
    quote_at = text.find('"', start + 1)
    while quote_at >= 0:
        before = quote_at - 1
        while text[before] == "\\":
            before -= 1
        if (quote_at - before) % 2:
            return quote_at + 1
        quote_at = text.find('"', quote_at + 1)
    return None


def _end_of_brackets(text: str, start: int) -> int | None:
    closers: list[str] = []
    index = start
    while index < len(text):
        character = text[index]
        if character == '"':
            end = _end_of_string(text, index)
            if end is None:
                return None
            index = end
            continue
        if character == "{":
            closers.append("}")
        elif character == "[":
            closers.append("]")
        elif character in "]}" and closers.pop() != character:
            return None
        index += 1
        if not closers:
            return index
    return None


def decode(raw: str, levels: int) -> object:
    """The value of `raw`; where it is nested too deeply, its first `levels` levels with `RawText` below them.

    Raises `ValueError` for what is not JSON, as far as that can be told.
    """
    if depth_is_within(raw.encode("utf-8"), MAX_DEPTH):
        value, end = scan_tolerant(raw, 0)
        if end != len(raw):
            raise ValueError(f"text follows the JSON value at character {end}")
        return value
    if levels and raw[0] == "{":
        return _decode_members(raw, levels)
    return RawText(on_one_line(raw))


def _decode_members(raw: str, levels: int) -> dict[str, object]:
    members: dict[str, object] = {}
    index = skip_blanks(raw, 1)
    while raw[index] != "}":
        if raw[index] != '"':
            raise ValueError(f"no member name at character {index}")
        name, index = scan_string(raw, index + 1)
        index = skip_blanks(raw, index)
        if raw[index] != ":":
            raise ValueError(f"no colon at character {index}")
        index = skip_blanks(raw, index + 1)
        stop = end_of_value(raw, index)
        if stop is None:
            raise ValueError(f"no value at character {index}")
        members[name] = decode(raw[index:stop], levels - 1)
        index = skip_blanks(raw, stop)
        if raw[index] == ",":
            index = skip_blanks(raw, index + 1)
    return members


def on_one_line(raw: str) -> str:
    """The same JSON on one line: breaks between tokens become blanks, control characters in strings are escaped."""
    pieces: list[str] = []
    index = 0
    while True:
        opening = raw.find('"', index)
        if opening < 0:
            break
        end = _end_of_string(raw, opening) or len(raw)
        pieces.append(raw[index:opening].translate(_BLANKS))
        pieces.append(raw[opening:end].translate(_ESCAPES))
        index = end
    pieces.append(raw[index:].translate(_BLANKS))
    return "".join(pieces)
