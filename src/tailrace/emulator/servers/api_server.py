"""The in-sandbox HTTP server: requests become facts, `Respond` effects become responses."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from tailrace.emulator.machine.effects import Respond
from tailrace.emulator.machine.facts import HttpAbandoned, HttpRequested
from tailrace.emulator.servers.http_server import HttpConnection, HttpServer, Request


class ApiServer:
    """One listener for all in-sandbox APIs (lambda-platform.md 0.4), on a free port of 127.0.0.1.

    `emit` takes each fact as it happens and may call `respond` before it returns. `now_ns` is the machine's clock.
    """

    def __init__(self, emit: Callable[[HttpRequested | HttpAbandoned], None], now_ns: Callable[[], int]) -> None:
        self._emit = emit
        self._server = HttpServer(self, now_ns=now_ns)
        self._numbers = itertools.count(1)
        self._connections: dict[int, HttpConnection] = {}
        self._exchanges: dict[HttpConnection, int] = {}

    async def start(self) -> None:
        await self._server.start()

    @property
    def address(self) -> str:
        """What `AWS_LAMBDA_RUNTIME_API` says: host and port."""
        return self._server.address

    def cut_idle(self) -> None:
        """Close the connections on which no request is open. Those of long polls stay."""
        self._server.cut_idle()

    def cut_all(self) -> None:
        """Drop every connection: what processes that are gone have sent does not concern those that follow."""
        self._server.cut_all()

    async def stop(self) -> None:
        await self._server.stop()

    def respond(self, effect: Respond) -> None:
        """Write the answer. An exchange whose client is gone is ignored."""
        connection = self._connections.pop(effect.exchange, None)
        if connection is None:
            return
        del self._exchanges[connection]
        connection.respond(effect.status, effect.headers, effect.body)

    def request_received(self, connection: HttpConnection, request: Request) -> None:
        exchange = next(self._numbers)
        self._connections[exchange] = connection
        self._exchanges[connection] = exchange
        path = request.target.partition("?")[0]
        self._emit(
            HttpRequested(
                exchange, request.method, path, request.headers, request.body, request.truncated, request.began_ns
            )
        )

    def client_gone(self, connection: HttpConnection) -> None:
        exchange = self._exchanges.pop(connection, None)
        if exchange is not None:
            del self._connections[exchange]
            self._emit(HttpAbandoned(exchange))
