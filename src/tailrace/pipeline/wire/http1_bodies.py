"""Bodies whose length is not said, and those of replies. Loaded by who sends requests."""

from __future__ import annotations

from tailrace.pipeline.wire.http1 import MAX_HEAD_BYTES, MalformedMessageError, SizedBody

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.pipeline.wire.http1 import Body, Head

_MAX_CHUNK_LINE_BYTES = 4096
_HEX_DIGITS = b"0123456789abcdefABCDEF"


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


def reply_body(head: Head, method: str, status: int) -> Body:
    """The body that a reply with this head carries (RFC 9112, 6.3). Raises `MalformedMessageError`."""
    if method == "HEAD" or status in (204, 304):
        return SizedBody(0)
    if head.is_chunked:
        return ChunkedBody()
    length = head.content_length
    return EndlessBody() if length is None else SizedBody(length)
