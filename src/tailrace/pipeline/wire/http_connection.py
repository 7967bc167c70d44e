"""One HTTP/1.1 connection, and the exchange of a request and its reply on it."""

from __future__ import annotations

from posix import strerror

from tailrace.errors import ConnectError, NoReplyError
from tailrace.pipeline.messages import Reply
from tailrace.pipeline.times import MIN_TIMEOUT_S
from tailrace.pipeline.wire.http1 import MalformedMessageError, parse_head, split_head
from tailrace.pipeline.wire.http1_bodies import EndlessBody, reply_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from tailrace.clock import Clock
    from tailrace.pipeline.messages import HttpRequest
    from tailrace.pipeline.wire.http1 import Body, Head

KEPT_BODY_BYTES = 65_536
_DRAIN_MAX_BYTES = 1_048_576  # beyond this a new connection is cheaper than the rest of the body
_READ_BYTES = 65_536
_JOINED_BODY_BYTES = 16_384
# Reads after the deadline that find something: the sandbox may have been frozen while the reply was on its way.
_LATE_READS = 16
# What the body of a reply may take once its head is there: most of what it says is said by then. Where only the
# connection's end is its end many servers leave that open.
_BODY_S = 1.0
_ENDLESS_BODY_S = 0.25
# A wait that ends so long after its deadline was no wait; a reply is granted this much after it.
_FROZEN_S = 0.5
_GRACE_S = 0.25
_DEFAULT_PORTS = {True: 443, False: 80}


class _PeerClosedError(OSError):
    """The peer ended the connection where more was due."""


class Connection:
    """Owns `sock` (plain or TLS). After a failure `is_stale` says: it had worked before, and died before any
    byte of this reply; `sent_bytes` how much of the request had been handed to the kernel by then."""

    __slots__ = (
        "_clock",
        "_exchanges",
        "_got_bytes",
        "_graced",
        "_late_reads",
        "_rest",
        "_sock",
        "idle_since_s",
        "is_stale",
        "sent_bytes",
    )

    def __init__(self, sock: _socket.socket, clock: Clock) -> None:
        self._sock = sock
        self._clock = clock
        self._rest = b""
        self._exchanges = 0
        self._got_bytes = 0
        self._late_reads = 0
        self._graced = False
        self.idle_since_s = 0.0
        self.is_stale = False
        self.sent_bytes = 0

    def close(self) -> None:
        self._sock.close()

    def has_ended(self) -> bool:
        """Whether the peer hung up, or said something unasked, while nobody listened."""
        try:
            self._sock.settimeout(0.0)
            self._sock.recv(1)
        except OSError as error:
            # a TLS socket says so in its own way; its class is not loaded where it cannot occur
            return not isinstance(error, BlockingIOError) and type(error).__name__ != "SSLWantReadError"
        return True

    def exchange(
        self, request: HttpRequest, deadline_s: float, on_written: Callable[[], None] | None = None
    ) -> tuple[Reply, bool]:
        """The reply, and whether the connection can carry another request. Once the head is there, there is a reply: a
        body that breaks off makes it one that is not whole.

        Raises `ConnectError` when nothing was sent, `NoReplyError` when the outcome is unknown.
        """
        head_bytes = encode_head(request)
        self._exchanges += 1
        self.sent_bytes = self._got_bytes = self._late_reads = 0
        self._graced = False
        send_error = self._send(head_bytes, request.body, deadline_s)
        if send_error is not None and not self.sent_bytes:
            self.is_stale = self._died(send_error)
            raise ConnectError(f"{describe(send_error)} before anything was sent") from send_error
        if send_error is None and on_written is not None:
            on_written()
        # even after a failed send: a server may answer and hang up before it has read everything (413)
        try:
            status, head = self._read_final_head(deadline_s)
        except MalformedMessageError as error:
            raise NoReplyError(f"reply is not HTTP: {error}") from error
        except OSError as error:
            self.is_stale = self._died(error)
            raise NoReplyError(f"{describe(send_error or error)} before the reply was complete") from error
        reply, is_complete = self._read_rest(status, head, request.method, deadline_s)
        return reply, is_complete and send_error is None and _keeps_alive(head)

    def _died(self, error: OSError) -> bool:
        return self._exchanges > 1 and not self._got_bytes and not isinstance(error, TimeoutError)

    def _send(self, head: bytes, body: bytes, deadline_s: float) -> OSError | None:
        # a small body goes with the head in one packet; a large one is not copied for that
        pieces = (head + body,) if len(body) <= _JOINED_BODY_BYTES else (head, body)
        try:
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    self._set_timeout(deadline_s)
                    n_bytes = self._sock.send(view)
                    self.sent_bytes += n_bytes
                    view = view[n_bytes:]
        except OSError as error:
            return error
        return None

    def _read_final_head(self, deadline_s: float) -> tuple[int, Head]:
        """The first head that is not an interim one (1xx)."""
        while True:
            while (split := split_head(self._rest)) is None:
                self._rest += self._receive(deadline_s)
            raw, self._rest = split
            head = parse_head(raw, is_lenient=True)
            version, status = head.start[:2]
            if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit() and len(status) == 3):
                raise MalformedMessageError("status line is not one of HTTP/1.1")
            if status[0] != "1":
                return int(status), head

    def _read_rest(self, status: int, head: Head, method: str, deadline_s: float) -> tuple[Reply, bool]:
        """The reply to its end, and whether nothing is left behind it."""
        kept: list[bytes] = []
        reply = Reply(status, head.headers)
        is_complete = False
        try:
            body = reply_body(head, method, status)
            reply.is_whole = self._read_body(body, kept, self._body_deadline_s(body, deadline_s)) and head.is_sound
            is_complete = reply.is_whole and body.done and not body.rest
        except (MalformedMessageError, OSError):
            reply.is_whole = False  # what it said by its status it has said
        reply.body = b"".join(kept)[:KEPT_BODY_BYTES]
        return reply, is_complete

    def _body_deadline_s(self, body: Body, deadline_s: float) -> float:
        """Half of what is left at most: somebody has to hear of the reply before the time is up."""
        now_s = self._clock.monotonic_s()
        longest_s = _ENDLESS_BODY_S if isinstance(body, EndlessBody) else _BODY_S
        return now_s + min(longest_s, (deadline_s - now_s) / 2)

    def _read_body(self, body: Body, kept: list[bytes], deadline_s: float) -> bool:
        """Put its pieces into `kept`, up to `KEPT_BODY_BYTES` or a little more. Whether it came to its end."""
        data, self._rest = self._rest, b""
        kept_bytes = drained_bytes = 0
        while True:
            piece = body.feed(data)
            if kept_bytes < KEPT_BODY_BYTES:
                kept.append(piece)
                kept_bytes += len(piece)
            if body.done or drained_bytes > _DRAIN_MAX_BYTES:
                return body.done
            try:
                data = self._receive(deadline_s)
            except _PeerClosedError:
                return isinstance(body, EndlessBody)
            drained_bytes += len(data)

    def _receive(self, deadline_s: float) -> bytes:
        """Some bytes of the reply. What has come already counts after the deadline, too: time passes while the
        sandbox is frozen, and a reply that is thrown away is a request that is sent twice."""
        if self._clock.monotonic_s() < deadline_s:
            self._set_timeout(deadline_s)
        elif self._late_reads < _LATE_READS:
            self._late_reads += 1
            self._sock.settimeout(MIN_TIMEOUT_S)
        else:
            raise TimeoutError
        try:
            data = self._sock.recv(_READ_BYTES)
        except TimeoutError:
            if self._graced or self._clock.monotonic_s() < deadline_s + _FROZEN_S:
                raise
            # woken long after the deadline: the sandbox stood still, and the reply may be on its way to it
            self._graced = True
            self._sock.settimeout(_GRACE_S)
            data = self._sock.recv(_READ_BYTES)
        if not data:
            raise _PeerClosedError
        self._got_bytes += len(data)
        return data

    def _set_timeout(self, deadline_s: float) -> None:
        remaining_s = deadline_s - self._clock.monotonic_s()
        if remaining_s <= 0:
            raise TimeoutError
        self._sock.settimeout(max(MIN_TIMEOUT_S, remaining_s))


def encode_head(request: HttpRequest) -> bytes:
    """The head on the wire, with its blank line. Raises `ConnectError` for what would break out of a line."""
    host = f"[{request.host}]" if ":" in request.host else request.host
    if request.port != _DEFAULT_PORTS[request.tls]:
        host = f"{host}:{request.port}"
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(request.body)}")
    for line in lines:
        if "\r" in line or "\n" in line:
            raise ConnectError(f"line break in {line.split(':', 1)[0].split()[0]!r} of the request")
    if " " in request.target:
        raise ConnectError("blank in the target of the request")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def describe(error: OSError) -> str:
    """A short reason, the same for the same cause, in which nothing of the peer's or the user's stands."""
    if isinstance(error, _PeerClosedError):
        return "connection closed by the peer"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error.errno, int) and error.errno > 0 and not type(error).__name__.startswith("SSL"):
        return strerror(error.errno).lower()
    return "connection lost"


def _keeps_alive(head: Head) -> bool:
    if head.start[0] == "HTTP/1.0":
        return head.has_token("connection", "keep-alive")
    return not head.has_token("connection", "close")
