"""Delivering telemetry to the subscribers' listeners, over one lasting connection for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tailrace.emulator.machine.effects import ConnectSubscriber, PostTelemetry
from tailrace.emulator.machine.facts import SubscriberConnected, TelemetryAnswered
from tailrace.emulator.telemetry.address import LOOPBACK, Address, ConnectionClosedError, describe, parse_address
from tailrace.emulator.telemetry.http import HttpConnection
from tailrace.emulator.telemetry.tcp import TcpConnection

_CONNECT_LIMIT_S = 1.0
"""For a listener whose backlog is full: anything else answers at once on loopback."""

_TCP_OK = 200
_Connection = TypeVar("_Connection", HttpConnection, TcpConnection)


class TelemetrySender:
    """Runs `ConnectSubscriber` and `PostTelemetry` effects. Each of the first ends with one `SubscriberConnected`, each
    of the others with one `TelemetryAnswered`, unless it is abandoned."""

    def __init__(self, emit: Callable[[TelemetryAnswered | SubscriberConnected], None]) -> None:
        self._emit = emit
        self._http: dict[tuple[str, int], HttpConnection] = {}
        self._tcp: dict[tuple[str, int], TcpConnection] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._posts: dict[int, PostTelemetry] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._turn: dict[str, asyncio.Lock] = {}

    def connect(self, effect: ConnectSubscriber) -> None:
        task = asyncio.create_task(self._connect(effect))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def post(self, effect: PostTelemetry) -> None:
        self._posts[effect.delivery] = effect
        self._tasks[effect.delivery] = asyncio.create_task(self._run(effect))

    def abandon(self, delivery: int) -> None:
        """Stop waiting for an answer. The connection is closed: a late answer must not pass for the next one's."""
        task = self._tasks.pop(delivery, None)
        if task is None:
            return
        task.cancel()
        subscriber = self._posts.pop(delivery).subscriber
        for connections in (self._http, self._tcp):
            for key in [key for key in connections if key[0] == subscriber]:
                connections.pop(key).close()

    def cut(self, subscriber: str = "") -> None:
        """Reset the connections to a subscriber, or (empty) those of all that have nothing in flight."""
        busy = {post.subscriber for post in self._posts.values()}
        for connections in (self._http, self._tcp):
            for key in list(connections):
                if key[0] == subscriber or not (subscriber or key[0] in busy):
                    connections.pop(key).reset()

    async def close(self) -> None:
        """Give up everything in flight and close every connection."""
        tasks: list[asyncio.Task[None]] = [*self._tasks.values(), *self._connecting]
        for delivery in list(self._tasks):
            self.abandon(delivery)
        for task in tasks:
            task.cancel()
        for connections in (self._http, self._tcp):
            for connection in connections.values():
                connection.close()
            connections.clear()
        await asyncio.gather(*tasks, asyncio.sleep(0), return_exceptions=True)

    async def _connect(self, effect: ConnectSubscriber) -> None:
        """The connection of an earlier subscription stays until the new one stands."""
        error = ""
        try:
            connection = await _open(TcpConnection, effect.port)
        except OSError as failure:
            error = describe(failure)
        else:
            for key in [key for key in self._tcp if key[0] == effect.subscriber]:
                self._tcp.pop(key).close()
            self._tcp[effect.subscriber, effect.port] = connection
        self._emit(SubscriberConnected(effect.connection, error))

    async def _run(self, effect: PostTelemetry) -> None:
        status, error = 0, ""
        try:
            async with self._turn.setdefault(effect.subscriber, asyncio.Lock()):
                status = await self._deliver(effect)
        except (OSError, ValueError, ConnectionClosedError) as failure:
            error = describe(failure)
        if self._tasks.pop(effect.delivery, None) is not None:
            del self._posts[effect.delivery]
            self._emit(TelemetryAnswered(effect.delivery, status, error))

    def _deliver(self, effect: PostTelemetry) -> Coroutine[Any, Any, int]:
        address = parse_address(effect.uri)
        if address.scheme == "tcp":
            return self._deliver_tcp(effect, address)
        return self._deliver_http(effect, address)

    async def _deliver_http(self, effect: PostTelemetry, address: Address) -> int:
        head = (
            f"{effect.method} {address.target} HTTP/1.1\r\nHost: {address.host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(effect.body)}\r\n\r\n"
        ).encode("latin-1")
        key = (effect.subscriber, address.port)
        connection = self._http.get(key)
        if connection is None or not connection.is_reusable:
            if connection is not None:
                connection.close()
            connection = self._http[key] = await _open(HttpConnection, address.port)
        return await connection.post(head, effect.body)

    async def _deliver_tcp(self, effect: PostTelemetry, address: Address) -> int:
        """A connection that has ended is told once, so that the machine decides whether there is another one."""
        key = (effect.subscriber, address.port)
        connection = self._tcp.get(key)
        if connection is None:
            connection = self._tcp[key] = await _open(TcpConnection, address.port)
        try:
            await connection.send(effect.body)
        except ConnectionClosedError:
            del self._tcp[key]
            raise
        return _TCP_OK


async def _open(kind: type[_Connection], port: int) -> _Connection:
    async with asyncio.timeout(_CONNECT_LIMIT_S):
        _, connection = await asyncio.get_running_loop().create_connection(kind, LOOPBACK, port)
    return connection
