"""HTTP/1.1 over an asyncio protocol and httptools: the part that both servers of the emulator share."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Protocol, cast

import httptools

from tailrace.emulator.plain_value import plain_value
from tailrace.emulator.servers.known_heads import KnownHeads

MAX_BODY_BYTES = 10 * 1024 * 1024
"""What is kept of a request's body. More than any limit of the APIs, which refuse it by their own rules."""

MAX_HEAD_BYTES = 1024 * 1024
"""Request line and headers together (lambda-platform.md 3.8)."""

_MAX_WAITING_REQUESTS = 100
"""Pipelined behind one that is not answered yet. No client in use sends more than one or two."""

_MAX_WAITING_BYTES = 4 * MAX_BODY_BYTES

_BACKLOG = 128

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


@plain_value
class Request:
    """A whole request. Header names are lower case; `target` is as sent, with its query.

    `truncated` is true where the connection ended, or stopped making sense, before the body did. `began_ns` is when
    its first bytes were read, by the server's clock.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    keep_alive: bool
    began_ns: int


class RequestHandler(Protocol):
    """What a server does with requests. Every request is answered by `HttpConnection.respond`, now or later."""

    def request_received(self, connection: HttpConnection, request: Request) -> None:
        """One request at a time for each connection: the next one comes after this one is answered."""

    def client_gone(self, connection: HttpConnection) -> None:
        """The client closed while the request was unanswered."""


def render_response(
    status: int, headers: Iterable[tuple[str, str]], body: bytes, *, close: bool, head_only: bool = False
) -> bytes:
    """A response as one piece of bytes. `Content-Length` is always there and always right."""
    head = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n"
    for name, value in headers:
        if name.lower() != "content-length":
            head += f"{name}: {value if value.isascii() and value.isprintable() else _one_line(value)}\r\n"
    if status != 204:
        head += f"Content-Length: {len(body)}\r\n"
    head += "Connection: close\r\n\r\n" if close else "\r\n"
    written = head.encode("latin-1", "replace")
    return written if head_only or status == 204 else written + body


def _one_line(value: str) -> str:
    """A header value that cannot break out of its header. Text beyond Latin-1 travels as UTF-8 bytes."""
    if "\r" in value or "\n" in value:
        value = value.replace("\r", " ").replace("\n", " ")
    return value if value.isascii() else value.encode("utf-8").decode("latin-1")


class HttpConnection(asyncio.Protocol):
    """One client's connection: parses requests, keeps their order, writes each response in one go."""

    def __init__(
        self,
        handler: RequestHandler,
        connections: set[HttpConnection],
        now_ns: Callable[[], int],
        is_cut: Callable[[], bool] = lambda: False,
        heads: KnownHeads | None = None,
    ) -> None:
        self._handler = handler
        self._heads = heads or KnownHeads()
        self._is_cut = is_cut
        self._now_ns = now_ns
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._taking_up = False
        self._body: bytes | bytearray = b""
        self._body_bytes = 0
        self._ended = False
        self._in_head = False
        self._in_body = False
        self._n_messages = 0
        self._start_message()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only
        self._connections.add(self)
        if self._is_cut():
            self.abort()
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._transport = None
        self._finish_truncated()
        self._abandon()
        del self._parser  # it knows this connection: without the circle both are freed now, with what they hold

    def eof_received(self) -> bool:
        """A client that stopped mid-body may still read; one with a whole request open has gone away."""
        if self._in_body and self._current is None:
            self._finish_truncated()
            return True
        self._ended = True
        return False

    def pause_writing(self) -> None:
        """The client does not read its answers: no more of its requests are read until it does."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        is_between_requests = self._keep_alive and not self._in_head and not self._in_body
        if is_between_requests and self._take_known(data):
            return
        self._n_messages = 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._continue_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse()
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._answer_and_close(431, b"Request Header Fields Too Large\n")
        if is_between_requests and self._n_messages == 1 and self._keep_alive:
            self._heads.learn(data, self._headers)

    def _take_known(self, data: bytes) -> bool:
        """Whether it was one whole request like one before, which is handed over then."""
        known = self._heads.read(data)
        if known is None:
            return False
        self._take(Request(*known, truncated=False, keep_alive=True, began_ns=self._now_ns()))
        return True

    def close(self) -> None:
        """Close now; whatever is pending stays unanswered."""
        if self._transport is not None:
            self._transport.close()

    @property
    def is_idle(self) -> bool:
        """Whether no request is open, nor on its way in."""
        return self._current is None and not self._in_head and not self._in_body

    @property
    def is_reading(self) -> bool:
        """Whether more is taken from the client: not while it leaves its answers unread, nor when it has gone."""
        return self._transport is not None and self._transport.is_reading()

    def abort(self) -> None:
        """Close without waiting for unsent bytes, and take nothing more from the client."""
        self._ended = True
        self._in_head = self._in_body = False
        self._waiting.clear()
        if self._transport is not None:
            self._transport.abort()

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._start_message()
        self._began_ns = self._now_ns()
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._in_head:
            self._headers[_lower_name(name)] = _text(value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_body = True
        self._method = self._parser.get_method().decode("latin-1")
        self._keep_alive = self._parser.should_keep_alive()
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        room = MAX_BODY_BYTES - self._body_bytes
        if not self._body:
            self._body = body[:room]
        elif room > 0:
            if isinstance(self._body, bytes):  # most come in one piece; of many none may cost an object of its own
                self._body = bytearray(self._body)
            self._body += body[:room]
        self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return
        self._n_messages += 1
        self._deliver(truncated=False)

    # the server's side

    def respond(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """Answer the current request, then take up the next one. Without effect when the client is gone."""
        request, self._current = self._current, None
        if request is None:
            return
        close = not request.keep_alive or request.truncated
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(
                render_response(status, headers, body, close=close, head_only=request.method == "HEAD")
            )
            if close:
                self._ended = True
                self._transport.close()
        if close:
            self._waiting.clear()
        if self._waiting:
            self._take_up_waiting()

    def _take_up_waiting(self) -> None:
        """Hand over what waits until one is not answered at once. Answers come from within: no deeper with each."""
        if self._taking_up:
            return
        self._taking_up = True
        try:
            while self._waiting and self._current is None:
                self._hand_over(self._waiting.popleft())
        finally:
            self._taking_up = False

    def _start_message(self) -> None:
        self._began_ns = 0
        self._url = b""
        self._method = ""
        self._keep_alive = True
        self._headers: dict[str, str] = {}
        self._body = b""
        self._body_bytes = 0
        self._head_bytes = 0
        self._in_body = False

    def _deliver(self, *, truncated: bool) -> None:
        self._in_body = False
        body, self._body = bytes(self._body), b""
        target = self._url.decode("latin-1")
        self._take(Request(self._method, target, self._headers, body, truncated, self._keep_alive, self._began_ns))

    def _take(self, request: Request) -> None:
        if self._current is None:
            self._hand_over(request)
        else:
            self._waiting.append(request)
            self._limit_waiting()

    def _limit_waiting(self) -> None:
        """A client that sends on and on without waiting for an answer is cut off: memory is bounded."""
        waiting_bytes = sum(len(request.body) for request in self._waiting)
        if len(self._waiting) > _MAX_WAITING_REQUESTS or waiting_bytes > _MAX_WAITING_BYTES:
            self.abort()

    def _hand_over(self, request: Request) -> None:
        self._current = request
        self._handler.request_received(self, request)

    def _finish_truncated(self) -> None:
        self._ended = True
        if self._in_body:
            self._deliver(truncated=True)

    def _abandon(self) -> None:
        self._waiting.clear()
        if self._current is not None:
            self._current = None
            self._handler.client_gone(self)

    def _refuse(self) -> None:
        """What came is not HTTP. Inside a body that is a truncation; a request already whole is still answered."""
        if self._in_body:
            self._finish_truncated()
        elif self._current is None:
            self._answer_and_close(400, b"Bad Request\n")
        else:
            self._ended = True

    def _answer_and_close(self, status: int, body: bytes) -> None:
        self._ended = True
        self._in_head = self._in_body = False
        if self._transport is not None:
            headers = (("Content-Type", "text/plain; charset=utf-8"),)
            self._transport.write(render_response(status, headers, body, close=True))
            self._transport.close()

    def _continue_without_upgrade(self, rest: bytes) -> None:
        """Some clients offer HTTP/2 with every plain request. The offer is passed over, the request is not.

        The parser stops at the end of such a head, so a new one is given the same head without the offer.
        """
        if self._method == "CONNECT":
            self._answer_and_close(405, b"")
            return
        kept = [(k, v) for k, v in self._headers.items() if k not in {"upgrade", "connection", "expect"}]
        lines = [f"{self._method} {self._url.decode('latin-1')} HTTP/1.1"] + [f"{k}: {v}" for k, v in kept]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)


@functools.lru_cache(maxsize=256)
def _lower_name(name: bytes) -> str:
    """Clients send the same few names again and again."""
    return name.decode("latin-1").lower()


def _text(value: bytes) -> str:
    """A header value as text: UTF-8 where it is, else Latin-1, so that nothing is refused for its encoding."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


class HttpServer:
    """A listener on loopback and its open connections. `now_ns` tells when requests began."""

    def __init__(
        self,
        handler: RequestHandler,
        host: str = "127.0.0.1",
        port: int = 0,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._handler = handler
        self._now_ns = now_ns
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._cuts = 0
        self._cuts_of_new = 0
        self._connections: set[HttpConnection] = set()
        self._heads = KnownHeads()

    async def start(self) -> None:
        """Bind and listen. Raises `OSError` when the port is taken."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._socket = socket.create_server((self._host, self._port), family=family, backlog=_BACKLOG)
        self._socket.setblocking(False)
        self._server = await loop.create_server(self._new_connection, sock=self._socket, backlog=_BACKLOG)
        self._port = self._socket.getsockname()[1]

    def _new_connection(self) -> HttpConnection:
        """Called by the loop for each connection accepted; `connection_made` follows in a later turn."""
        cuts = self._cuts_of_new
        return HttpConnection(self._handler, self._connections, self._now_ns, lambda: cuts != self._cuts, self._heads)

    @property
    def port(self) -> int:
        """The port in use; the one asked for before `start`."""
        return self._port

    @property
    def address(self) -> str:
        return f"{self._host}:{self._port}"

    def cut_idle(self) -> None:
        """Close the connections on which no request is open."""
        for connection in [connection for connection in self._connections if connection.is_idle]:
            connection.abort()

    def cut_all(self) -> None:
        """Drop every connection opened until now, also those that the loop has accepted but not yet made, and those
        that still wait to be accepted: what their clients have sent is not read any more."""
        self._cuts += 1
        for connection in list(self._connections):
            connection.abort()
        if self._socket is not None:
            self._drop_unaccepted(self._socket)
            loop = asyncio.get_running_loop()
            if isinstance(loop, asyncio.BaseEventLoop):
                loop.call_soon(self._admit, self._cuts)
            else:  # uvloop makes the protocol as it accepts, and may accept a newcomer before that turn
                self._admit(self._cuts)

    def _drop_unaccepted(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # none is left, or its client has gone
            while True:
                listener.accept()[0].close()

    def _admit(self, cuts: int) -> None:
        """Runs after the steps of connections accepted before the cut: the loop's turns are first in, first out."""
        self._cuts_of_new = cuts

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await self._server.wait_closed()
        self._server = None
        while self._connections:
            await asyncio.sleep(0)
