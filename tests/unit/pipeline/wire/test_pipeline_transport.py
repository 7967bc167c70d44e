from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from support.socket_server import Peer, SocketServer
from tailrace.clock import ManualClock, SystemClock
from tailrace.errors import ConnectError, NoReplyError
from tailrace.pipeline.messages import FileRequest, HttpRequest, Reply, StreamRequest
from tailrace.pipeline.wire.http_connection import KEPT_BODY_BYTES
from tailrace.pipeline.wire.http_transport import HttpTransport
from tailrace.pipeline.wire.local_transport import FileTransport, StreamTransport
from tailrace.pipeline.wire.transport import CompositeTransport

LIMIT_S = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def put(port: int, body: bytes = b"data", method: str = "PUT", host: str = "127.0.0.1") -> HttpRequest:
    return HttpRequest(method, False, host, port, "/key?x=1", [("X-Name", "value")], body)


def answering(*replies: bytes) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        for reply in replies:
            head, _ = peer.read_request()
            assert head
            peer.say(reply)

    return behave


def one_reply(wire: bytes, request_method: str = "PUT") -> Reply:
    with SocketServer(answering(wire)) as server:
        transport = HttpTransport(SystemClock(), {})
        reply = transport.send(put(server.port, method=request_method), LIMIT_S)
        transport.close()
    return reply


def test_the_request_is_on_the_wire_as_it_was_given_with_host_and_length() -> None:
    seen = []

    def behave(peer: Peer) -> None:
        seen.append(peer.read_request())
        peer.say(OK)

    with SocketServer(behave) as server:
        transport = HttpTransport(SystemClock(), {})
        reply = transport.send(put(server.port), LIMIT_S)
        transport.close()
    head = f"PUT /key?x=1 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-Name: value\r\nContent-Length: 4"
    assert seen == [(head.encode(), b"data")]
    assert (reply.status, reply.headers, reply.body) == (200, {"content-length": "2"}, b"ok")


def test_one_connection_carries_many_requests() -> None:
    with SocketServer(answering(OK, OK, OK)) as server:
        transport = HttpTransport(SystemClock(), {})
        for _ in range(3):
            assert transport.send(put(server.port), LIMIT_S).status == 200
        transport.close()
    assert server.accepted == 1


@pytest.mark.parametrize(
    ("wire", "status", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: t\r\n\r\n",
            200,
            b"abcde",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nup to the end", 200, b"up to the end"),
        (b"HTTP/1.0 503 No\r\nContent-Length: 1\r\n\r\nx", 503, b"x"),
        (b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, b""),
    ],
)
def test_replies_of_every_shape_are_read(wire: bytes, status: int, body: bytes) -> None:
    reply = one_reply(wire)
    assert (reply.status, reply.body) == (status, body)


def test_a_reply_to_head_has_no_body() -> None:
    assert one_reply(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "HEAD").body == b""


def test_a_long_reply_is_kept_in_part_and_the_connection_stays_usable() -> None:
    long = b"HTTP/1.1 500 No\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
    with SocketServer(answering(long, OK)) as server:
        transport = HttpTransport(SystemClock(), {})
        assert len(transport.send(put(server.port), LIMIT_S).body) == KEPT_BODY_BYTES
        assert transport.send(put(server.port), LIMIT_S).body == b"ok"
        transport.close()
    assert server.accepted == 1


def test_a_reply_without_bound_is_not_read_to_its_end() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        try:
            peer.say(b"HTTP/1.1 500 No\r\nContent-Length: 99999999999\r\n\r\n")
            while True:
                peer.say(b"x" * 65536)
        except OSError:
            pass

    with SocketServer(behave) as server:
        transport = HttpTransport(SystemClock(), {})
        reply = transport.send(put(server.port), LIMIT_S)
        transport.close()
    assert (reply.status, len(reply.body)) == (500, KEPT_BODY_BYTES)


@pytest.mark.parametrize(
    "end",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_a_connection_that_the_server_ends_is_not_used_again(end: bytes) -> None:
    with SocketServer(answering(end), answering(OK)) as server:
        transport = HttpTransport(SystemClock(), {})
        for _ in range(2):
            assert transport.send(put(server.port, method="POST"), LIMIT_S).status == 200
        transport.close()
    assert server.accepted == 2


def test_a_kept_connection_that_ended_meanwhile_is_replaced_before_anything_is_sent() -> None:
    ended = threading.Event()

    def behave(peer: Peer) -> None:
        answering(OK)(peer)
        peer.sock.close()
        ended.set()

    with SocketServer(behave, answering(OK)) as server:
        transport = HttpTransport(SystemClock(), {})
        transport.send(put(server.port, method="POST"), LIMIT_S)
        assert ended.wait(LIMIT_S)
        assert transport.send(put(server.port, method="POST"), LIMIT_S).status == 200
        transport.close()


def test_a_kept_connection_is_not_trusted_after_a_long_pause() -> None:
    clock = ManualClock()

    def behave(peer: Peer) -> None:
        answering(OK)(peer)
        assert peer.read_request() == (b"", b"")

    with SocketServer(behave, answering(OK)) as server:
        transport = HttpTransport(clock, {})
        transport.send(put(server.port), LIMIT_S)
        clock.advance(56)
        transport.send(put(server.port), LIMIT_S)
        transport.close()
    assert server.accepted == 2


def dying_at_the_second(peer: Peer) -> None:
    answering(OK)(peer)
    peer.read_request()
    peer.reset()


def test_a_kept_connection_that_dies_before_the_reply_is_replaced_once_for_an_idempotent_request() -> None:
    with SocketServer(dying_at_the_second, answering(OK)) as server:
        transport = HttpTransport(SystemClock(), {})
        transport.send(put(server.port), LIMIT_S)
        assert transport.send(put(server.port), LIMIT_S).status == 200
        transport.close()
    assert server.accepted == 2


def test_the_same_is_an_unknown_outcome_for_a_post() -> None:
    with SocketServer(dying_at_the_second) as server:
        transport = HttpTransport(SystemClock(), {})
        transport.send(put(server.port, method="POST"), LIMIT_S)
        with pytest.raises(NoReplyError, match="before the reply was complete"):
            transport.send(put(server.port, method="POST"), LIMIT_S)
        transport.close()
    assert server.accepted == 1


def test_a_fresh_connection_that_dies_is_not_tried_again_by_the_transport() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.reset()

    with SocketServer(behave) as server:
        transport = HttpTransport(SystemClock(), {})
        with pytest.raises(NoReplyError):
            transport.send(put(server.port), LIMIT_S)
        transport.close()


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
    ],
)
def test_half_a_head_or_none_in_http_leaves_the_outcome_unknown(wire: bytes) -> None:
    with pytest.raises(NoReplyError):
        one_reply(wire)


def test_a_server_that_turns_a_large_body_down_before_its_end_is_heard() -> None:
    def behave(peer: Peer) -> None:
        assert peer.sock.recv(1000)
        peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        peer.sock.shutdown(socket.SHUT_WR)
        while peer.sock.recv(65536):
            pass

    with SocketServer(behave) as server:
        transport = HttpTransport(SystemClock(), {})
        assert transport.send(put(server.port, b"x" * 3_000_000), LIMIT_S).status == 413
        transport.close()


def test_no_reply_in_time_is_an_unknown_outcome() -> None:
    over = threading.Event()

    def behave(peer: Peer) -> None:
        peer.read_request()
        assert over.wait(LIMIT_S)

    with SocketServer(behave) as server:
        transport = HttpTransport(SystemClock(), {})
        with pytest.raises(NoReplyError, match="timed out"):
            transport.send(put(server.port), 0.05)
        over.set()
        transport.close()


class Freezing(ManualClock):
    """A clock that jumps far ahead while `frozen` says so, as it does when a sandbox thaws."""

    __slots__ = ("frozen",)

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False

    def monotonic_s(self) -> float:
        if self.frozen:
            self.frozen = False
            self.advance(3600.0)
        return super().monotonic_s()


def test_a_reply_that_came_while_the_sandbox_was_frozen_is_read_at_thaw() -> None:
    clock = Freezing()

    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.say(OK[:20])
        clock.frozen = True
        peer.say(OK[20:])

    with SocketServer(behave) as server:
        transport = HttpTransport(clock, {})
        reply = transport.send(put(server.port, method="POST"), 5.0)
        transport.close()
    assert (reply.status, reply.body) == (200, b"ok")


def test_a_reply_that_drips_on_after_its_time_is_not_waited_for_without_end() -> None:
    clock = Freezing()
    over = threading.Event()

    def behave(peer: Peer) -> None:
        peer.read_request()
        clock.frozen = True
        while not over.is_set():
            try:
                peer.say(b"HTTP/1.1 200 OK\r\nX: 1\r\n"[:1])
            except OSError:
                return

    with SocketServer(behave) as server:
        transport = HttpTransport(clock, {})
        with pytest.raises(NoReplyError):
            transport.send(put(server.port), 5.0)
        over.set()
        transport.close()


def test_refused_and_unresolved_are_told_apart_and_nothing_was_sent() -> None:
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    transport = HttpTransport(SystemClock(), {})
    with pytest.raises(ConnectError, match=rf"^connection refused \(127\.0\.0\.1:{port}\): does it run"):
        transport.send(put(port), LIMIT_S)
    with pytest.raises(ConnectError, match=r"^name not resolved: no\.such\.host\.invalid$"):
        transport.send(put(port, host="no.such.host.invalid"), LIMIT_S)
    with pytest.raises(ConnectError, match=r"^name not resolved: "):
        transport.send(put(port, host="é" * 80), LIMIT_S)


def test_both_families_are_spoken() -> None:
    try:
        server = SocketServer(answering(OK), host="::1", family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        transport = HttpTransport(SystemClock(), {})
        assert transport.send(put(server.port, host="::1"), LIMIT_S).status == 200
        transport.close()


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("PUT", False, "127.0.0.1", 1, "/", [("X-Key", "a\r\nX-Other: b")], b""),
        HttpRequest("PUT", False, "127.0.0.1", 1, "/a b", [], b""),
        HttpRequest("PUT", False, "127.0.0.1", 1, "/\r\nX: y", [], b""),
    ],
)
def test_nothing_breaks_out_of_its_line_and_no_value_is_told(request_: HttpRequest) -> None:
    def behave(peer: Peer) -> None:
        assert peer.sock.recv(1) == b""

    with SocketServer(behave) as server:
        request_.port = server.port
        with pytest.raises(ConnectError) as caught:
            HttpTransport(SystemClock(), {}).send(request_, LIMIT_S)
    assert "X-Other" not in caught.value.reason


def test_the_type_of_a_request_decides_who_carries_it(tmp_path: Path) -> None:
    transport = CompositeTransport(SystemClock(), {})
    assert isinstance(transport.transport_for(HttpRequest), HttpTransport)
    assert isinstance(transport.transport_for(StreamRequest), StreamTransport)
    assert isinstance(transport.transport_for(FileRequest), FileTransport)
    assert transport.send(FileRequest(str(tmp_path / "a.ndjson"), b"x"), LIMIT_S).status == 200
    assert transport.transport_for(FileRequest) is transport.transport_for(FileRequest)
    with pytest.raises(TypeError):
        transport.transport_for(int)
    transport.close()


def test_the_wire_is_told_of_before_the_reply_comes_and_a_reply_knows_its_moment() -> None:
    order: list[str] = []
    written = threading.Event()

    def behave(peer: Peer) -> None:
        peer.read_request()
        assert written.wait(LIMIT_S)
        order.append("answered")
        peer.say(OK)

    def on_written() -> None:
        order.append("written")
        written.set()

    with SocketServer(behave) as server:
        transport = HttpTransport(ManualClock(wall_s=1234.5), {})
        reply = transport.send(put(server.port), LIMIT_S, on_written)
        transport.close()
    assert order == ["written", "answered"]
    assert reply.came_s == 1234.5


def test_a_kept_connection_that_is_reset_under_a_request_says_that_it_was_stale() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.say(OK)
        peer.read_request()
        peer.reset()

    with SocketServer(behave) as server:
        transport = HttpTransport(SystemClock(), {})
        transport.send(put(server.port, method="POST"), LIMIT_S)
        with pytest.raises(NoReplyError) as kept:
            transport.send(put(server.port, method="POST"), LIMIT_S)
        assert kept.value.stale
        transport.close()


def test_a_fresh_connection_that_is_reset_is_no_stale_one() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.reset()

    with SocketServer(behave) as server:
        transport = HttpTransport(SystemClock(), {})
        with pytest.raises(NoReplyError) as fresh:
            transport.send(put(server.port, method="POST"), LIMIT_S)
        assert not fresh.value.stale
        transport.close()


def test_a_reply_that_comes_just_after_a_long_freeze_is_still_read() -> None:
    clock, thawed = ManualClock(), threading.Event()

    def behave(peer: Peer) -> None:
        peer.read_request()
        assert thawed.wait(LIMIT_S)
        peer.say(OK)

    def freeze() -> None:
        clock.advance(600.0)
        thawed.set()

    with SocketServer(behave) as server:
        transport = HttpTransport(clock, {})
        assert transport.send(put(server.port, method="POST"), 5.0, freeze).status == 200
        transport.close()
