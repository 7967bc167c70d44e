"""One HTTP connection to a subscriber of telemetry."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import httptools

from tailrace.emulator.telemetry.address import ConnectionClosedError, describe, reset_on_close


class HttpConnection(asyncio.Protocol):
    """One connection to a subscriber. `status` of an answer is known as soon as its head is there."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._status: asyncio.Future[int] | None = None
        self._answered = True
        self._complete = True

    @property
    def is_reusable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and self._complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail("connection closed before an answer" if exc is None else f"connection lost: {describe(exc)}")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("the answer is not HTTP")
            self.close()

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and self._status is not None and not self._status.done():
            self._status.set_result(status)
            self._answered = True

    def on_message_complete(self) -> None:
        if self._answered:
            self._complete = True
            if not self._parser.should_keep_alive():
                self.close()

    async def post(self, head: bytes, body: bytes) -> int:
        """Send one request and wait for the status of its answer."""
        if self._transport is None:
            raise ConnectionClosedError("connection closed")
        self._status = asyncio.get_running_loop().create_future()
        self._answered = self._complete = False
        self._transport.write(head + body)
        return await self._status

    def reset(self) -> None:
        """Close so that the subscriber finds the connection reset."""
        if self._transport is not None:
            reset_on_close(self._transport.get_extra_info("socket"))
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, reason: str) -> None:
        if self._status is not None and not self._status.done():
            self._status.set_exception(ConnectionClosedError(reason))
