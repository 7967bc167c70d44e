"""JSON without the `json` package: the interpreter's C scanner, and a small writer for values of our own.

Importing `json` costs a cold start about 12 ms; `_json`, which does its work, costs half of one. To raise an error the
C scanner wants `json.decoder`: from Python 3.12 on it imports that by itself (malformed input pays, good input does
not), before that it fails with a `SystemError` where nobody else has, which here means the same.
"""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 200
"""Deeper nesting is not decoded. The C scanner recurses on the thread's stack, about 200 bytes a level, and newer
interpreters let it go ten thousand levels deep: on a small stack that is a crash, not an exception."""


class RawText(str):
    """JSON text that stands undecoded in a decoded value: nested too deeply, or an integer of too many digits."""

    __slots__ = ()


def _int_or_raw(digits: str) -> object:
    try:
        return int(digits)
    except ValueError:
        return RawText(digits)


class _Context:
    """What the C scanner asks for."""

    __slots__ = ("object_hook", "object_pairs_hook", "parse_constant", "parse_float", "parse_int", "strict")

    def __init__(self, strict: bool, parse_int: Callable[[str], object]) -> None:
        self.strict = strict
        self.parse_int = parse_int
        self.parse_float = self.parse_constant = float
        self.object_hook = self.object_pairs_hook = None


# typeshed wants a scanner where the interpreter wants any object with these attributes
scan_exact: Callable[[str, int], tuple[object, int]] = _json.make_scanner(_Context(True, int))  # type: ignore[arg-type]
"""`scan` without its courtesy: a missing value raises `StopIteration`, a malformed one `ValueError` or `SystemError`.
For loops where a call more is felt."""

_scan_tolerant: Callable[[str, int], tuple[object, int]] = _json.make_scanner(_Context(False, _int_or_raw))  # type: ignore[arg-type]

quote: Callable[[str], str] = _json.encode_basestring_ascii
"""A JSON string literal, in ASCII; lone surrogates are escaped as they are."""


def scan(text: str, index: int) -> tuple[object, int]:
    """The value that begins exactly at `index`, and the index after it.

    Raises `ValueError` where none stands there, `RecursionError` where it is nested too deeply. The caller has
    bounded the nesting (`depth_is_within`) where the text is not its own.
    """
    try:
        return scan_exact(text, index)
    except StopIteration as stop:
        raise ValueError(f"no JSON value at character {stop.value}") from None
    except SystemError:
        raise ValueError(f"malformed JSON after character {index}") from None


def scan_tolerant(text: str, index: int) -> tuple[object, int]:
    """As `scan`, but integers of any length become `RawText`, and control characters may stand in strings."""
    try:
        return _scan_tolerant(text, index)
    except StopIteration as stop:
        raise ValueError(f"no JSON value at character {stop.value}") from None
    except SystemError:
        raise ValueError(f"malformed JSON after character {index}") from None


def scan_string(text: str, index: int) -> tuple[str, int]:
    """The string whose opening quote stands before `index`, and the index after its closing quote.

    Raises `ValueError` where it does not end.
    """
    try:
        value, end = _json.scanstring(text, index, False)
    except SystemError:
        raise ValueError(f"malformed string after character {index}") from None
    return value, end


def loads(text: str) -> object:
    """Decode one JSON document. Raises `ValueError` for anything else, too deep nesting included."""
    if not depth_is_within(text.encode("utf-8", "replace"), MAX_DEPTH):
        raise ValueError(f"JSON is nested more than {MAX_DEPTH} levels deep")
    value, end = scan(text, skip_blanks(text, 0))
    end = skip_blanks(text, end)
    if end != len(text):
        raise ValueError(f"text follows the JSON value at character {end}")
    return value


def skip_blanks(text: str, index: int) -> int:
    """The index of the next character that is not JSON white space."""
    end = len(text)
    while index < end and text[index] in " \t\n\r":
        index += 1
    return index


_NOT_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")
_NOT_STRUCTURE = bytes(code for code in range(256) if code not in b'[]{}"')


def depth_is_within(body: bytes, limit: int) -> bool:
    """Whether no value in `body` is nested more than `limit` levels deep. May say no where it cannot tell cheaply.

    Sound for malformed text too: what a scanner can reach before its error is measured as it would read it.
    """
    # To look for what is to be replaced costs next to nothing, and mostly it is not there.
    if b"\\\\" in body:
        body = body.replace(b"\\\\", b"")
    if b'\\"' in body:
        body = body.replace(b'\\"', b"")
    structure = body.translate(None, _NOT_STRUCTURE)
    if structure.count(b"{") + structure.count(b"[") <= limit:
        return True
    # two quotes side by side leave what lies inside strings and what lies outside as they are
    outside_strings = structure.replace(b'""', b"").split(b'"')[::2]
    brackets = b"".join(outside_strings).translate(None, _NOT_BRACKETS)
    # taking away every innermost pair of one kind makes the depth smaller by one at most
    levels = 0
    while levels + len(brackets) > limit:
        shorter = brackets.replace(b"{}", b"")
        levels += len(shorter) < len(brackets)
        rest = shorter.replace(b"[]", b"")
        levels += len(rest) < len(shorter)
        if levels > limit or len(rest) == len(brackets):
            return False
        brackets = rest
    return True


def dumps(value: object) -> str:
    """Compact JSON of a small value of our own.

    Raises `TypeError` for anything but dict, list, tuple, str, int, float, bool and None, and `ValueError` for
    floats that JSON cannot write.
    """
    if isinstance(value, str):
        return value if isinstance(value, RawText) else quote(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, dict):
        members = [f"{quote(_key(name))}:{dumps(member)}" for name, member in value.items()]
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join([dumps(item) for item in value]) + "]"
    raise TypeError(f"JSON cannot write a {type(value).__name__}")


def _key(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"JSON cannot name a member by a {type(name).__name__}")
    return name


def _float_text(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"JSON cannot write the number {value!r}")
    return float.__repr__(value)
