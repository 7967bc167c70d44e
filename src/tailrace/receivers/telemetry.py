"""The listener for the Telemetry API: HTTP/1.1 over raw sockets, one thread a connection.

Whatever the platform posts is answered 200 as soon as it is in the intake, or 503 when that stays full. There is no
4xx: the platform would send the same body again and again (lambda-platform.md 5.6 and 12.3). What is not HTTP
only ends its connection.
"""

from __future__ import annotations

import _socket
import _thread

from tailrace.pipeline.intake import Oversized
from tailrace.pipeline.sync import Monitor
from tailrace.pipeline.wire.http1 import MalformedMessageError, SizedBody, parse_head, request_body, split_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.clock import Clock
    from tailrace.pipeline.intake import Intake
    from tailrace.pipeline.wire.http1 import Body, Head

MAX_BODY_BYTES = 16_777_216  # the platform's own bound is about 2 MiB (lambda-platform.md 5.8)
_READ_BYTES = 65_536
_PAUSE_AFTER_ERROR_S = 0.05

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


class TelemetryListener:
    """Accepts on `sock`, a bound and listening socket, and brings every body to `intake`.

    `spawn` starts a thread that runs what it is given.
    """

    __slots__ = ("_connections", "_deliveries", "_intake", "_monitor", "_sock", "_spawn", "_stopped")

    def __init__(
        self,
        sock: _socket.socket,
        intake: Intake,
        spawn: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._sock = sock
        self._intake = intake
        self._spawn = spawn or _spawn
        self._deliveries = Deliveries(intake)
        self._monitor = Monitor()
        self._connections: set[_socket.socket] = set()
        self._stopped = False

    def serve(self) -> None:
        """Accept until `stop`. Owns the socket from now on."""
        self._sock.settimeout(None)
        try:
            while not self._stopped:
                self._accept()
        finally:
            self._sock.close()

    def stop(self) -> None:
        """End `serve` and every connection. What was admitted stays in the intake."""
        with self._monitor:
            self._stopped = True
            self._monitor.notify_all()
            for sock in (self._sock, *self._connections):
                _shut(sock)

    def wait_stopped(self, clock: Clock, deadline_s: float) -> bool:
        """After `stop`: whether all connections' threads have ended by `deadline_s` of `clock`."""
        with self._monitor:
            return self._monitor.wait_until(lambda: not self._connections, clock, deadline_s)

    def _accept(self) -> None:
        try:
            descriptor, _ = self._sock._accept()  # type: ignore[attr-defined]  # the stubs leave it out
        except OSError:
            # stopped; or out of descriptors, which passes
            with self._monitor:
                if not self._stopped:
                    self._monitor.wait(_PAUSE_AFTER_ERROR_S)
            return
        sock = _socket.socket(fileno=descriptor)
        with self._monitor:
            if self._stopped:
                sock.close()
                return
            self._connections.add(sock)
        try:
            self._spawn(lambda: self._run_connection(sock))
        except RuntimeError:
            # no thread to be had, which passes: the peer tries again
            with self._monitor:
                self._connections.discard(sock)
                sock.close()
                self._monitor.wait(_PAUSE_AFTER_ERROR_S)

    def _run_connection(self, sock: _socket.socket) -> None:
        try:
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            connection = _Connection(sock, self._deliveries)
            while connection.serve_one():
                pass
        except (OSError, MalformedMessageError):
            pass  # the peer went away, or does not speak HTTP: nobody is left to be told
        finally:
            with self._monitor:
                self._connections.discard(sock)
                sock.close()
                self._monitor.notify_all()


class Deliveries:
    """Brings bodies to the intake, and knows a redelivery.

    A body equal to the one before it is a redelivery only if that one was admitted and its 200 did not get out
    in full: then it is answered and not counted again. Otherwise two equal bodies are two deliveries.
    """

    __slots__ = ("_intake", "_lock", "_unacknowledged")

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._lock = _thread.allocate_lock()
        self._unacknowledged: bytes | Oversized | None = None

    def receive(self, body: bytes | Oversized, acknowledge: Callable[[], bool]) -> bool:
        """Whether `body` is (or was, before) admitted. False asks for a 503.

        `acknowledge` answers 200 and says whether that got out. All of it is one step: a second try must see what
        became of the first, and the next body, which may be equal, may come as soon as this one is answered.
        """
        with self._lock:
            if not _is_same(self._unacknowledged, body):
                self._unacknowledged = None
                if not self._intake.admit(body):
                    return False
                self._unacknowledged = body
            if acknowledge():
                self._unacknowledged = None
            return True


def _is_same(before: bytes | Oversized | None, body: bytes | Oversized) -> bool:
    if isinstance(before, Oversized) and isinstance(body, Oversized):
        return before.n_bytes == body.n_bytes
    return before is not None and before == body


class _Connection:
    """One peer, one request after the other."""

    __slots__ = ("_deliveries", "_rest", "_sock")

    def __init__(self, sock: _socket.socket, deliveries: Deliveries) -> None:
        self._sock = sock
        self._deliveries = deliveries
        self._rest = b""

    def serve_one(self) -> bool:
        """Read a request and answer it. False: the connection is at its end.

        Raises `OSError` and `MalformedMessageError`; the connection is of no use then.
        """
        head = self._read_head()
        if head is None:
            return False
        body = request_body(head)
        if not body.done and head.has_token("expect", "100-continue"):
            self._sock.sendall(_CONTINUE)
        content = self._read_body(body)
        self._answer(content)
        keep_alive = head.start[2] != "HTTP/1.0" or head.has_token("connection", "keep-alive")
        return keep_alive and not head.has_token("connection", "close")

    def _answer(self, content: bytes | Oversized) -> None:
        if not content:  # a question whether somebody is there
            self._sock.sendall(_OK)
        elif not self._deliveries.receive(content, self._acknowledge):
            self._sock.sendall(_UNAVAILABLE)

    def _acknowledge(self) -> bool:
        """The kernel takes an answer for a peer that hung up meanwhile: look before speaking."""
        is_heard = not self._peer_left()
        self._sock.sendall(_OK)
        return is_heard

    def _peer_left(self) -> bool:
        try:
            return self._sock.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False

    def _read_head(self) -> Head | None:
        """None when the peer ends the connection between two requests."""
        while True:
            self._rest = self._rest.lstrip(b"\r\n")  # RFC 9112, 2.2
            split = split_head(self._rest)
            if split is not None:
                raw, self._rest = split
                head = parse_head(raw)
                if not head.start[2].startswith("HTTP/1."):
                    raise MalformedMessageError("not a request of HTTP/1.1")
                return head
            data = self._sock.recv(_READ_BYTES)
            if not data:
                return None
            self._rest += data

    def _read_body(self, body: Body) -> bytes | Oversized:
        """All of it, or, beyond the bound, only its size."""
        if isinstance(body, SizedBody) and body.missing <= MAX_BODY_BYTES:
            return self._read_sized(body.missing)
        pieces = [body.feed(self._rest)]
        n_bytes = len(pieces[0])
        while not body.done:
            piece = body.feed(self._receive())
            n_bytes += len(piece)
            if n_bytes <= MAX_BODY_BYTES:
                pieces.append(piece)
            else:
                pieces.clear()
        self._rest = body.rest
        return b"".join(pieces) if n_bytes <= MAX_BODY_BYTES else Oversized(n_bytes)

    def _read_sized(self, n_bytes: int) -> bytes:
        """The usual case: straight from the kernel to where it stays."""
        content = bytearray(n_bytes)
        view = memoryview(content)
        filled = min(n_bytes, len(self._rest))
        view[:filled] = self._rest[:filled]
        self._rest = self._rest[filled:]
        while filled < n_bytes:
            n = self._sock.recv_into(view[filled:])
            if not n:
                raise MalformedMessageError("body is shorter than its length says")
            filled += n
        return bytes(content)

    def _receive(self) -> bytes:
        data = self._sock.recv(_READ_BYTES)
        if not data:
            raise MalformedMessageError("body has no end")
        return data


def _shut(sock: _socket.socket) -> None:
    """Wake whoever blocks on `sock`."""
    try:
        sock.shutdown(_socket.SHUT_RDWR)
    except OSError:
        return


def _spawn(run: Callable[[], None]) -> None:
    _thread.start_new_thread(run, ())
