from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.emulator.servers.http_server import HttpConnection, Request
from tailrace.emulator.servers.known_heads import MAX_HEAD_BYTES, MAX_HEADS, KnownHeads

NEXT = b"GET /next HTTP/1.1\r\nHost: sandbox\r\nUser-Agent: r\xc3\xbcn/1\r\n\r\n"
POST = b"POST /%s/response HTTP/1.1\r\nHost: sandbox\r\nContent-Length: 3\r\n\r\n%s"


class Recorder:
    """Keeps requests and answers each at once."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def request_received(self, connection: HttpConnection, request: Request) -> None:
        self.requests.append(request)
        connection.respond(200, (), b"")

    def client_gone(self, connection: HttpConnection) -> None:
        pass


def requests_of(pieces: list[bytes], heads: KnownHeads) -> list[Request]:
    recorder = Recorder()
    connection = HttpConnection(recorder, set(), lambda: 7, heads=heads)
    for piece in pieces:
        connection.data_received(piece)
    return recorder.requests


def test_a_request_like_one_before_is_read_from_its_bytes_and_says_the_same() -> None:
    heads = KnownHeads()
    assert heads.read(NEXT) is None
    first, second = requests_of([NEXT, NEXT], heads)
    assert heads.read(NEXT) is not None
    assert first == second
    assert second == Request("GET", "/next", {"host": "sandbox", "user-agent": "rün/1"}, b"", False, True, 7)


def test_request_line_and_body_are_each_requests_own() -> None:
    found = requests_of([POST % (b"one", b"abc"), POST % (b"two", b"xyz")], KnownHeads())
    assert [(request.target, request.body) for request in found] == [
        ("/one/response", b"abc"),
        ("/two/response", b"xyz"),
    ]


def test_what_another_connection_has_sent_is_known() -> None:
    heads = KnownHeads()
    requests_of([NEXT], heads)
    assert requests_of([NEXT], heads)[0].headers["host"] == "sandbox"


@pytest.mark.parametrize(
    "header",
    [
        b"Connection: close",
        b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c",
        b"Expect: 100-continue",
        b"Transfer-Encoding: chunked",
        b"X-Long: " + b"x" * MAX_HEAD_BYTES,
    ],
)
def test_a_head_that_says_how_to_go_on_is_left_to_the_parser(header: bytes) -> None:
    heads = KnownHeads()
    data = b"POST / HTTP/1.1\r\n" + header + b"\r\n\r\n0\r\n\r\n"
    requests_of([data], heads)
    assert heads.read(data) is None


def test_after_a_request_that_closes_no_other_is_taken() -> None:
    heads = KnownHeads()
    requests_of([NEXT], heads)
    closing = b"GET /last HTTP/1.1\r\nConnection: close\r\n\r\n"
    assert [request.target for request in requests_of([closing, NEXT], heads)] == ["/last"]


@pytest.mark.parametrize(
    "line",
    [b"GET next HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /next HTTP/1.0", b"GET /\x01 HTTP/1.1", b"get / HTTP/1.1"],
)
def test_a_request_line_out_of_the_ordinary_is_left_to_the_parser(line: bytes) -> None:
    heads = KnownHeads()
    requests_of([NEXT], heads)
    assert heads.read(line + NEXT[NEXT.index(b"\r\n") :]) is None


def test_more_or_less_than_one_request_is_left_to_the_parser() -> None:
    heads = KnownHeads()
    whole = POST % (b"one", b"abc")
    requests_of([whole], heads)
    assert heads.read(whole[:-1]) is None
    assert heads.read(whole + NEXT) is None
    assert heads.read(whole) is not None


def test_of_many_heads_only_so_many_are_kept() -> None:
    heads = KnownHeads()
    sent = [b"GET / HTTP/1.1\r\nNumber: %d\r\n\r\n" % number for number in range(MAX_HEADS + 1)]
    requests_of(sent, heads)
    assert heads.read(sent[0]) is None
    assert heads.read(sent[-1]) is not None


_MESSAGES = st.sampled_from(
    [NEXT, POST % (b"one", b"abc"), POST % (b"two", b"xyz"), b"PUT /x HTTP/1.1\r\n\r\n", b"\r\n"]
)


@given(st.lists(_MESSAGES, max_size=8), st.lists(st.integers(0, 400), max_size=6))
def test_however_requests_are_cut_they_are_read_as_the_parser_alone_reads_them(
    messages: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(messages)
    at = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[begin:end] for begin, end in itertools.pairwise(at) if begin < end]
    heads = KnownHeads()
    requests_of(messages, heads)  # whatever can be known is
    assert requests_of(pieces, heads) == requests_of([stream], KnownHeads())


def test_both_ways_a_request_began_when_it_came() -> None:
    heads = KnownHeads()
    recorder = Recorder()
    connection = HttpConnection(recorder, set(), time.monotonic_ns, heads=heads)
    connection.data_received(NEXT)
    before_ns = time.monotonic_ns()
    connection.data_received(NEXT)
    assert recorder.requests[1].began_ns >= before_ns
