"""HTTP/1.1 messages without a socket: heads, and bodies by length; others are in `http1_bodies`. Pure.

The listener reads requests with it and the transport replies. Everything is fed piecewise; how the bytes
were cut on the way makes no difference.
"""

from __future__ import annotations

from tailrace.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Body(Protocol):
        """A body that is being read. `rest` holds what came after its end."""

        done: bool
        rest: bytes

        def feed(self, data: bytes) -> bytes:
            """More bytes from the wire; the body's bytes among them. Raises `MalformedMessageError`."""


MAX_HEAD_BYTES = 65_536


class MalformedMessageError(ProtocolError):
    """What came is not HTTP/1.1; nothing after it on this connection can be trusted."""


class Head:
    """The start line, split at blanks into its (up to) three parts, and the headers with names in lower case.

    `is_sound` is false where a line among the headers is none: it was left out, and what it said is not known."""

    __slots__ = ("headers", "is_sound", "start")

    def __init__(self, start: tuple[str, str, str], headers: dict[str, str], is_sound: bool = True) -> None:
        self.start = start
        self.headers = headers
        self.is_sound = is_sound

    def has_token(self, name: str, token: str) -> bool:
        """Whether the comma-separated header `name` contains `token`."""
        return token in [part.strip().lower() for part in self.headers.get(name, "").split(",")]

    @property
    def content_length(self) -> int | None:
        """None where there is none. Raises `MalformedMessageError` for what is no number."""
        text = self.headers.get("content-length")
        if text is None:
            return None
        values = {part.strip() for part in text.split(",")}
        value = values.pop()
        if values or not (value.isascii() and value.isdigit() and len(value) < 19):
            raise MalformedMessageError("Content-Length is not one number")
        return int(value)

    @property
    def is_chunked(self) -> bool:
        """Raises `MalformedMessageError` for any other transfer coding."""
        coding = self.headers.get("transfer-encoding")
        if coding is None or coding.strip().lower() == "identity":
            return False
        if coding.strip().lower() != "chunked":
            raise MalformedMessageError("Transfer-Encoding is not chunked")
        return True


def split_head(data: bytes) -> tuple[bytes, bytes] | None:
    """The head's bytes and what follows its blank line; None while it is not complete. A line may end with a line feed
    alone (RFC 9112, 2.2).

    Raises `MalformedMessageError` when it grows beyond `MAX_HEAD_BYTES`.
    """
    blank, n_bytes = data.find(b"\n\r\n"), 3
    bare = data.find(b"\n\n", 0, blank + 1 if blank >= 0 else len(data))
    if bare >= 0:
        blank, n_bytes = bare, 2
    if blank < 0:
        if len(data) > MAX_HEAD_BYTES:
            raise MalformedMessageError("head is too long")
        return None
    return data[:blank].removesuffix(b"\r"), data[blank + n_bytes :]


def parse_head(head: bytes, is_lenient: bool = False) -> Head:
    """Start line and headers. Raises `MalformedMessageError`; if `is_lenient`, for the start line alone."""
    lines = _lines_of(head)
    parts = lines[0].split(" ", 2)
    if len(parts) < 2:
        raise MalformedMessageError("start line is incomplete")
    headers: dict[str, str] = {}
    is_sound = True
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            if not is_lenient:
                raise MalformedMessageError("header line without a name")
            is_sound = False
            continue
        name = name.lower()
        value = value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Head((parts[0], parts[1], parts[2] if len(parts) == 3 else ""), headers, is_sound)


def _lines_of(head: bytes) -> list[str]:
    """Without their ends. A header that goes on in a next line, which begins with a blank, is one (RFC 9112, 5.2)."""
    lines: list[str] = []
    for raw in head.decode("latin-1").split("\n"):
        line = raw.removesuffix("\r")
        if len(lines) > 1 and line[:1] in (" ", "\t"):
            lines[-1] = f"{lines[-1]} {line.strip()}"
        else:
            lines.append(line)
    return lines


class SizedBody:
    """Exactly `n_bytes`."""

    __slots__ = ("done", "missing", "rest")

    def __init__(self, n_bytes: int) -> None:
        self.missing = n_bytes
        self.done = n_bytes == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        body = data[: self.missing]
        self.missing -= len(body)
        self.done = self.missing == 0
        self.rest += data[len(body) :]
        return body


def request_body(head: Head) -> Body:
    """The body that a request with this head carries. Raises `MalformedMessageError`."""
    if head.is_chunked:
        from tailrace.pipeline.wire.http1_bodies import ChunkedBody  # the platform says how long what it posts is

        return ChunkedBody()
    return SizedBody(head.content_length or 0)
