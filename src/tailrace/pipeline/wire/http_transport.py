"""HTTP/1.1 over raw sockets, one kept connection per origin."""

from __future__ import annotations

import _socket

from tailrace.errors import ConnectError, NoReplyError
from tailrace.pipeline.times import MIN_TIMEOUT_S
from tailrace.pipeline.wire.http_connection import Connection, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from tailrace.clock import Clock
    from tailrace.pipeline.messages import HttpRequest, Reply

    Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
    Origin = tuple[bool, str, int]  # TLS, host, port

_IDLE_MAX_S = 55.0  # just under the minute after which many servers hang up


class HttpTransport:
    """Carries `HttpRequest`s for one thread. TLS is loaded with the first origin that wants it.

    `environment` is where `SSL_CERT_FILE` and `SSL_CERT_DIR` are looked up. Time-outs are whole: from the call
    of `send` to the reply's last byte.
    """

    __slots__ = ("_clock", "_connect_timeout_s", "_connections", "_environment", "_tls_context")

    def __init__(self, clock: Clock, environment: Mapping[str, str], connect_timeout_s: float = 2.0) -> None:
        self._clock = clock
        self._environment = environment
        self._connect_timeout_s = connect_timeout_s
        self._connections: dict[Origin, Connection] = {}
        self._tls_context: ssl.SSLContext | None = None

    def send(self, request: HttpRequest, timeout_s: float, on_written: Callable[[], None] | None = None) -> Reply:
        """Raises `ConnectError` when nothing was sent, `NoReplyError` when the outcome is unknown.

        A kept connection that turns out to be dead before any byte of the reply costs one fresh connection, where
        that is safe: nothing was sent, or the request is idempotent. Where it is not the error says that it was stale.
        """
        deadline_s = self._clock.monotonic_s() + timeout_s
        origin = (request.tls, request.host, request.port)
        kept = self._take_kept(origin)
        if kept is not None:
            try:
                return self._exchange(kept, origin, request, deadline_s, on_written)
            except (ConnectError, NoReplyError) as error:
                if not kept.is_stale:
                    raise
                if kept.sent_bytes and not request.idempotent:
                    raise NoReplyError(error.reason, stale=True) from error
        return self._exchange(self._connect(origin, deadline_s), origin, request, deadline_s, on_written)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _take_kept(self, origin: Origin) -> Connection | None:
        connection = self._connections.pop(origin, None)
        if connection is None:
            return None
        if self._clock.monotonic_s() - connection.idle_since_s > _IDLE_MAX_S or connection.has_ended():
            connection.close()
            return None
        return connection

    def _exchange(
        self,
        connection: Connection,
        origin: Origin,
        request: HttpRequest,
        deadline_s: float,
        on_written: Callable[[], None] | None,
    ) -> Reply:
        """One request and its reply; the connection is kept where both sides may, else closed."""
        reusable = False
        try:
            reply, reusable = connection.exchange(request, deadline_s, on_written)
            reply.came_s = self._clock.wall_s()
        finally:
            if reusable:
                connection.idle_since_s = self._clock.monotonic_s()
                self._connections[origin] = connection
            else:
                connection.close()
        return reply

    def _connect(self, origin: Origin, deadline_s: float) -> Connection:
        tls, host, port = origin
        deadline_s = min(deadline_s, self._clock.monotonic_s() + self._connect_timeout_s)
        sock = self._dial(_resolve(host, port), f"{host}:{port}", deadline_s)
        return Connection(self._secure(sock, host, deadline_s) if tls else sock, self._clock)

    def _secure(self, sock: _socket.socket, host: str, deadline_s: float) -> _socket.socket:
        from tailrace.pipeline.wire import tls  # costs more than all the rest; only for who wants it

        try:
            if self._tls_context is None:
                self._tls_context = tls.client_context(self._environment)
            sock.settimeout(max(MIN_TIMEOUT_S, deadline_s - self._clock.monotonic_s()))
            return tls.wrap(sock, host, self._tls_context)
        finally:
            sock.close()  # handed over by then, or of no use

    def _dial(self, addresses: list[Address], where: str, deadline_s: float) -> _socket.socket:
        """A connection to the first address that answers, sharing the time among those that are left."""
        reason = "name not resolved"
        for index, (family, kind, proto, _, address) in enumerate(addresses):
            remaining_s = (deadline_s - self._clock.monotonic_s()) / (len(addresses) - index)
            sock = None
            try:
                sock = _socket.socket(family, kind, proto)
                sock.settimeout(max(MIN_TIMEOUT_S, remaining_s))
                sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
                sock.connect(address)
            except OSError as error:
                reason = describe(error)
                if sock is not None:
                    sock.close()
            else:
                return sock
        raise ConnectError(f"{reason} ({where}): does it run, is its address right?")


def _resolve(host: str, port: int) -> list[Address]:
    try:
        # as bytes, because a str would load the codec for international names, and that loads `re`
        name: bytes | str = host.encode("ascii") if host.isascii() else host
        return _socket.getaddrinfo(name, port, 0, _socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConnectError(f"name not resolved: {host}") from error
