"""Posting telemetry as the platform does: one request after the other over one lasting connection."""

from __future__ import annotations

import socket
from typing import Self
from urllib.parse import urlsplit


class TelemetryConnection:
    """`with TelemetryConnection(url, limit_s) as connection:` keeps its connection to the agent's listener."""

    def __init__(self, url: str, limit_s: float) -> None:
        parts = urlsplit(url)
        assert parts.port is not None
        self._head = f"POST / HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        self._socket = socket.create_connection((parts.hostname, parts.port), limit_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stream.close()
        self._socket.close()

    def request(self, body: bytes) -> bytes:
        """The whole request that brings `body`, ready to be sent."""
        return f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def send(self, request: bytes) -> int:
        """Send what `request` made; the status of the answer. All answers of the agent are without a body."""
        self._socket.sendall(request)
        status = int(self._stream.readline().split()[1])
        while self._stream.readline() not in (b"\r\n", b""):
            pass
        return status
