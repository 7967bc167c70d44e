"""HTTP/1.1 messages without a socket: heads, and bodies by length, by chunks, or up to the end. Pure.

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
_MAX_CHUNK_LINE_BYTES = 4096
_HEX_DIGITS = b"0123456789abcdefABCDEF"


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


class EndlessBody:
    """Up to the end of the connection; `done` is for the owner of the socket to say."""

    __slots__ = ("done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        return data


class ChunkedBody:
    """Chunks up to the one of size zero and the trailer, which is read and forgotten (RFC 9112, 7.1)."""

    __slots__ = ("_buffer", "_in_trailer", "_missing", "_trailer_bytes", "done", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self._missing = 0  # of the current chunk, its closing line break included
        self._in_trailer = False
        self._trailer_bytes = 0
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        if self.done:
            self.rest += data
            return b""
        self._buffer += data
        out: list[bytes] = []
        while not self.done and (self._take_chunk(out) if self._missing else self._take_line()):
            pass
        return b"".join(out)

    def _take_chunk(self, out: list[bytes]) -> bool:
        """Move what is there of the current chunk to `out`. False when more is needed."""
        n_data = min(self._missing - 2, len(self._buffer))
        if n_data > 0:
            out.append(self._buffer[:n_data])
            self._buffer = self._buffer[n_data:]
            self._missing -= n_data
        if self._missing > 2 or len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise MalformedMessageError("chunk does not end where it says")
        self._buffer = self._buffer[2:]
        self._missing = 0
        return True

    def _take_line(self) -> bool:
        """A chunk's size, or a line of the trailer. False when more is needed."""
        end = self._buffer.find(b"\r\n")
        if max(end, 0) + self._trailer_bytes > MAX_HEAD_BYTES or (
            end < 0 and len(self._buffer) > _MAX_CHUNK_LINE_BYTES
        ):
            raise MalformedMessageError("chunk line is too long")
        if end < 0:
            return False
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        if not self._in_trailer:
            self._start_chunk(line)
        elif line:
            self._trailer_bytes += len(line)
        else:
            self.done = True
            self.rest, self._buffer = self._buffer, b""
        return True

    def _start_chunk(self, line: bytes) -> None:
        digits = line.split(b";", 1)[0].strip(b" \t")
        if not digits or len(digits) > 15 or digits.strip(_HEX_DIGITS):
            raise MalformedMessageError("chunk size is not a number")
        size = int(digits, 16)
        self._in_trailer = size == 0
        self._missing = size + 2 if size else 0


def request_body(head: Head) -> Body:
    """The body that a request with this head carries. Raises `MalformedMessageError`."""
    if head.is_chunked:
        return ChunkedBody()
    return SizedBody(head.content_length or 0)


def reply_body(head: Head, method: str, status: int) -> Body:
    """The body that a reply with this head carries (RFC 9112, 6.3). Raises `MalformedMessageError`."""
    if method == "HEAD" or status in (204, 304):
        return SizedBody(0)
    if head.is_chunked:
        return ChunkedBody()
    length = head.content_length
    return EndlessBody() if length is None else SizedBody(length)
