"""A tiny HTTP/1.1 client for the Extensions and Telemetry APIs, made of built-in modules only.

One keep-alive connection, one request at a time, no read timeout: event/next stays silent until there is an
event, and a second call while one is pending is refused (lambda-platform.md 2.5).
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RECEIVE_BYTES = 65536
MAX_HEAD_BYTES = 65536


class ApiReply:
    """`head` is the status line and the header lines as they came, `body` what followed."""

    __slots__ = ("body", "head", "status")

    def __init__(self, status: int, head: bytes, body: bytes) -> None:
        self.status = status
        self.head = head
        self.body = body

    def header(self, name: bytes) -> bytes:
        """The value of the header `name` (given in lower case), or nothing."""
        return header_value(self.head, name)


class LambdaApi:
    """The API at `address` (``169.254.100.1:9001``), as ``AWS_LAMBDA_RUNTIME_API`` names it."""

    __slots__ = ("_address", "_buffer", "_endpoint", "_socket")

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._endpoint = (host, int(port))
        self._socket: _socket.socket | None = None
        self._buffer = b""

    def request(
        self, method: str, path: str, headers: str, body: bytes = b"", sent: Callable[[], object] | None = None
    ) -> ApiReply:
        """One request and its reply. `headers` are whole lines, each ended by CR LF. `sent` is called between the
        two, while the answer is on its way. Raises `OSError` where no whole reply came, `ValueError` where it is
        not HTTP. A kept connection that the server had closed meanwhile is replaced once."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        text = f"{method} {path} HTTP/1.1\r\nHost: {self._address}\r\n{headers}{length}\r\n"
        data = text.encode("utf-8", "surrogateescape") + body
        reused = self._socket is not None
        try:
            self._send(data)
            if sent is not None:
                sent()
                sent = None
            return self._receive()
        except (OSError, ValueError):
            nothing_came = not self._buffer
            self.close()
            if not (reused and nothing_came):
                raise
        try:
            self._send(data)
            if sent is not None:
                sent()
            return self._receive()
        except (OSError, ValueError):
            self.close()
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._buffer = b""

    def _send(self, data: bytes) -> None:
        if self._socket is None:
            connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
            self._socket = connection
            connection.connect(self._endpoint)
        self._socket.sendall(data)

    def _receive(self) -> ApiReply:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise ValueError("the header of the reply does not end")
            self._more()
        head = self._buffer[:end]
        self._buffer = self._buffer[end + 4 :]
        words = head.split(None, 2)
        if not head.startswith(b"HTTP/1.") or len(words) < 2:
            raise ValueError("the reply is not HTTP/1.1")
        body = self._body(head)
        if head.startswith(b"HTTP/1.0") or header_value(head, b"connection").lower() == b"close":
            self.close()
        return ApiReply(int(words[1]), head, body)

    def _body(self, head: bytes) -> bytes:
        if header_value(head, b"transfer-encoding").lower() == b"chunked":
            return self._chunks()
        length = header_value(head, b"content-length")
        return self._exactly(int(length)) if length else b""

    def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int(self._line().partition(b";")[0], 16)
            if size == 0:
                while self._line():
                    pass
                return body
            body += self._exactly(size)
            self._line()

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._more()
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _more(self) -> None:
        if self._socket is None:
            raise ConnectionResetError("the connection was closed")
        data = self._socket.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError("the connection was closed before the whole reply had come")
        self._buffer += data


def header_value(head: bytes, name: bytes) -> bytes:
    """The value of the header `name` (lower case) in `head`; header names have no case."""
    start = head.lower().find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()
