"""Replies whose head came and whose body did not, or not as it should."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.socket_server import Peer, SocketServer
from tailrace.clock import SystemClock
from tailrace.pipeline.messages import HttpRequest, Reply
from tailrace.pipeline.wire.http1 import parse_head, split_head
from tailrace.pipeline.wire.http_transport import HttpTransport

LIMIT_S = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def post(port: int) -> HttpRequest:
    return HttpRequest("POST", False, "127.0.0.1", port, "/", [], b"data")


def replies_of(*behave: Callable[[Peer], None], n: int = 1, timeout_s: float = LIMIT_S) -> tuple[list[Reply], int]:
    """What `n` requests got, and how many connections that took."""
    with SocketServer(*behave) as server:
        transport = HttpTransport(SystemClock(), {})
        try:
            replies = [transport.send(post(server.port), timeout_s) for _ in range(n)]
        finally:
            transport.close()
    return replies, server.accepted


def saying(wire: bytes) -> Callable[[Peer], None]:
    """One reply, and the end of the connection."""

    def behave(peer: Peer) -> None:
        assert peer.read_request()[0]
        peer.say(wire)

    return behave


def saying_and_waiting(wire: bytes) -> Callable[[Peer], None]:
    """One reply on a connection that the server leaves open."""

    def behave(peer: Peer) -> None:
        assert peer.read_request()[0]
        peer.say(wire)
        assert peer.read_request() == (b"", b""), "the connection was used again"

    return behave


CUT = {
    "shorter than it says": b"Content-Length: 100\r\n\r\nabc",
    "no number": b"Content-Length: abc\r\n\r\nabc",
    "negative": b"Content-Length: -5\r\n\r\n",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "beyond every length": b"Content-Length: 99999999999999999999\r\n\r\nok",
    "a chunk that breaks off": b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "a chunk of no size": b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: gzip\r\n\r\nok",
    "a line that is no header": b"no header\r\nContent-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("rest", CUT.values(), ids=CUT)
@pytest.mark.parametrize("status", [200, 400, 503])
def test_a_reply_whose_body_breaks_off_has_its_status_and_costs_the_connection(status: int, rest: bytes) -> None:
    first = saying(b"HTTP/1.1 %d X\r\nRetry-After: 7\r\n" % status + rest)
    (cut, after), n_connections = replies_of(first, saying(OK), n=2)
    assert (cut.status, cut.is_whole, cut.headers["retry-after"]) == (status, False, "7")
    assert (after.status, after.is_whole, n_connections) == (200, True, 2)


def test_what_came_of_a_body_before_it_broke_off_is_kept() -> None:
    (reply,), _ = replies_of(saying(b"HTTP/1.1 400 No\r\nContent-Length: 100\r\n\r\n<Code>SlowDown</Code>"))
    assert (reply.body, reply.is_whole) == (b"<Code>SlowDown</Code>", False)


def test_a_reset_in_the_middle_of_a_body_leaves_the_status() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 10)
        peer.reset()

    (reply,), _ = replies_of(behave)
    assert (reply.status, reply.is_whole) == (200, False)


@pytest.mark.parametrize("rest", [b"\r\nopen end", b"Content-Length: 100\r\n\r\nabc", b"Content-Length: 2\r\n\r\n"])
def test_a_body_that_does_not_come_on_an_open_connection_is_waited_for_a_moment_only(rest: bytes) -> None:
    (reply,), _ = replies_of(saying_and_waiting(b"HTTP/1.1 202 Accepted\r\n" + rest))
    assert (reply.status, reply.is_whole) == (202, False)


def test_a_body_that_drips_on_does_not_take_all_the_time_there_is() -> None:
    over = threading.Event()

    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not over.is_set():
            try:
                peer.say(b"x")
            except OSError:
                return
            over.wait(0.01)

    try:
        (reply,), _ = replies_of(behave)
    finally:
        over.set()
    assert (reply.status, reply.is_whole) == (200, False)


def test_a_body_without_length_is_whole_where_the_connection_ends() -> None:
    (reply,), _ = replies_of(saying(b"HTTP/1.1 200 OK\r\n\r\nup to the end"))
    assert (reply.body, reply.is_whole) == (b"up to the end", True)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\nok",
        b"HTTP/1.1 200 OK\r\nX-Long: a\r\n  goes on\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    ],
)
def test_heads_that_are_written_loosely_are_read_and_their_connection_is_kept(wire: bytes) -> None:
    def behave(peer: Peer) -> None:
        for reply in (wire, OK):
            peer.read_request()
            peer.say(reply)

    replies, n_connections = replies_of(behave, n=2)
    assert [(one.status, one.body, one.is_whole) for one in replies] == [(200, b"ok", True)] * 2
    assert n_connections == 1


names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
values = st.from_regex(r"[!-~]([ -~]{0,10}[!-~])?", fullmatch=True)


@given(
    st.dictionaries(names, values, max_size=6),
    st.lists(st.sampled_from([b"\n", b"\r\n"]), min_size=8, max_size=8),
    st.binary(max_size=30),
)
def test_a_head_says_the_same_whatever_its_lines_end_with(
    headers: dict[str, str], ends: list[bytes], after: bytes
) -> None:
    lines = [b"HTTP/1.1 200 OK", *(f"{name}: {value}".encode() for name, value in headers.items()), b""]
    split = split_head(b"".join(line + end for line, end in zip(lines, ends, strict=False)) + after)
    assert split is not None
    head = parse_head(split[0])
    assert (head.start[1], head.headers, head.is_sound, split[1]) == ("200", headers, True, after)
