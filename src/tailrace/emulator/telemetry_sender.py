"""Delivering telemetry: POST requests to the subscribers' listeners, one kept-alive connection for each."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import httptools

from tailrace.emulator.machine.effects import PostTelemetry
from tailrace.emulator.machine.facts import TelemetryAnswered

_SANDBOX_HOSTS = frozenset({"sandbox.localdomain", "sandbox", "localhost", "127.0.0.1", "0.0.0.0"})  # noqa: S104 - compared, never bound


class _ConnectionClosedError(Exception):
    """The subscriber closed before it answered."""


class _Client(asyncio.Protocol):
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
        self._fail("connection closed before an answer" if exc is None else f"connection lost: {_reason(exc)}")

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
            raise _ConnectionClosedError("connection closed")
        self._status = asyncio.get_running_loop().create_future()
        self._answered = self._complete = False
        self._transport.write(head + body)
        return await self._status

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, reason: str) -> None:
        if self._status is not None and not self._status.done():
            self._status.set_exception(_ConnectionClosedError(reason))


class TelemetrySender:
    """Runs `PostTelemetry` effects. Each ends with exactly one `TelemetryAnswered`, unless it is abandoned."""

    def __init__(self, emit: Callable[[TelemetryAnswered], None]) -> None:
        self._emit = emit
        self._clients: dict[str, _Client] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._subscribers: dict[int, str] = {}
        self._turn: dict[str, asyncio.Lock] = {}

    def post(self, effect: PostTelemetry) -> None:
        self._subscribers[effect.delivery] = effect.subscriber
        self._tasks[effect.delivery] = asyncio.create_task(self._run(effect))

    def abandon(self, delivery: int) -> None:
        """Stop waiting for an answer. The connection is closed: a late answer must not pass for the next one's."""
        task = self._tasks.pop(delivery, None)
        if task is None:
            return
        task.cancel()
        client = self._clients.pop(self._subscribers.pop(delivery, ""), None)
        if client is not None:
            client.close()

    async def close(self) -> None:
        """Give up everything in flight and close every connection."""
        tasks = list(self._tasks.values())
        for delivery in list(self._tasks):
            self.abandon(delivery)
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        await asyncio.gather(*tasks, asyncio.sleep(0), return_exceptions=True)

    async def _run(self, effect: PostTelemetry) -> None:
        status, error = 0, ""
        try:
            async with self._turn.setdefault(effect.subscriber, asyncio.Lock()):
                status = await self._deliver(effect)
        except (OSError, ValueError, _ConnectionClosedError) as failure:
            error = _reason(failure)
        if self._tasks.pop(effect.delivery, None) is not None:
            del self._subscribers[effect.delivery]
            self._emit(TelemetryAnswered(effect.delivery, status, error))

    async def _deliver(self, effect: PostTelemetry) -> int:
        host, port, path, authority = _destination(effect.uri)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(effect.body)}\r\n\r\n"
        ).encode("latin-1")
        client = self._clients.get(effect.subscriber)
        if client is None or not client.is_reusable:
            if client is not None:
                client.close()
            loop = asyncio.get_running_loop()
            _, client = await loop.create_connection(_Client, host, port)
            self._clients[effect.subscriber] = client
        return await client.post(head, effect.body)


def _destination(uri: str) -> tuple[str, int, str, str]:
    """Host, port, request target and `Host` header of a subscriber's URI.

    Only the sandbox itself is a destination (lambda-platform.md 5.5); its names stand for loopback here.
    Raises `ValueError` for anything else.
    """
    parts = urlsplit(uri)
    if parts.scheme != "http" or (parts.hostname or "").lower() not in _SANDBOX_HOSTS:
        raise ValueError(f"{uri} is not an http:// address of the sandbox")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or any(c in target for c in " \r\n"):
        raise ValueError(f"{uri} has characters that no request line can hold")
    return "127.0.0.1", parts.port or 80, target, parts.netloc.rpartition("@")[2]


def _reason(error: BaseException) -> str:
    """An error in a few constant words, for the platform's own logs."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
