"""Reading an object to its end over connections that fail."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.dead_letters import patience_with
from tailrace.replay.places import PlaceError
from tailrace.replay.s3_stream import S3Stream

DATA = bytes(range(256)) * 4


class Answered:
    """One answer of a script: `body`, and what happens after it."""

    def __init__(self, status: int, body: bytes, length: int, then: Exception | None = None) -> None:
        self.status = status
        self.headers = {"Content-Length": str(length), "ETag": '"tag"'}
        self.body = body
        self.then = then
        self.is_closed = False

    def read(self, size: int) -> bytes:
        if not self.body and self.then is not None:
            raise self.then
        piece, self.body = self.body[:size], self.body[size:]
        return piece

    def close(self) -> None:
        self.is_closed = True


class Server:
    """Has `DATA`, and does with each request what the script says: a number is a status, or how many bytes come before
    the connection ends; the script's end serves all of the rest."""

    def __init__(self, *script: int | Exception, knows_ranges: bool = True) -> None:
        self.script = list(script)
        self.knows_ranges = knows_ranges
        self.asked: list[Mapping[str, str]] = []
        self.answers: list[Answered] = []

    def get(self, headers: Mapping[str, str]) -> Answered:
        self.asked.append(dict(headers))
        step = self.script.pop(0) if self.script else len(DATA)
        if isinstance(step, Exception):
            raise step
        self.answers.append(self._answer(step, headers))
        return self.answers[-1]

    def _answer(self, step: int, headers: Mapping[str, str]) -> Answered:
        if step in (403, 404, 412, 429, 503):
            body = {403: b"<Code>AccessDenied</Code>", 503: b"<Code>SlowDown</Code>"}.get(step, b"")
            return Answered(step, body, len(body))
        begin = int(headers["Range"][6:-1]) if "Range" in headers and self.knows_ranges else 0
        rest = DATA[begin:]
        return Answered(206 if begin else 200, rest[:step], len(rest))


def read_all(stream: S3Stream, size: int = 100) -> bytes:
    pieces = []
    while piece := stream.read(size):
        pieces.append(piece)
    return b"".join(pieces)


def stream_of(server: Server, told: list[str] | None = None, pauses: list[float] | None = None) -> S3Stream:
    return S3Stream("s3://logs/dead/a", server.get, patience_with(pauses, told))


def test_what_may_pass_is_tried_again_with_pauses_and_each_attempt_is_told() -> None:
    server, told, pauses = (
        Server(503, ConnectionResetError(104, "Connection reset"), TimeoutError(), 429),
        list[str](),
        list[float](),
    )
    assert read_all(stream_of(server, told, pauses)) == DATA
    assert pauses == [0.25, 0.5, 1.0, 2.0]
    assert told == [
        "s3://logs/dead/a cannot be read: status 503 SlowDown (attempt 1 of 5), the next in 0.2 s",
        "s3://logs/dead/a cannot be read: connection reset (attempt 2 of 5), the next in 0.5 s",
        "s3://logs/dead/a cannot be read: no answer in time (attempt 3 of 5), the next in 1.0 s",
        "s3://logs/dead/a cannot be read: status 429 (attempt 4 of 5), the next in 2.0 s",
    ]
    assert all(answer.is_closed for answer in server.answers[:-1])


@given(st.lists(st.integers(1, 300), max_size=8), st.booleans(), st.integers(1, 2000))
def test_a_connection_that_is_cut_is_taken_up_where_it_ended(cuts: list[int], knows_ranges: bool, size: int) -> None:
    if not knows_ranges:
        cuts = sorted(cuts)  # what comes again from the beginning must get further
    server = Server(*cuts, knows_ranges=knows_ranges)
    try:
        found = read_all(stream_of(server), size)
    except PlaceError:
        assert not knows_ranges  # nothing new came in five attempts
        return
    assert found == DATA
    assert all(asked["If-Match"] == '"tag"' for asked in server.asked[1:])


def test_in_the_end_it_is_said_which_object_and_how_much_was_read() -> None:
    server = Server(300, *([http.client.RemoteDisconnected("")] * 9))
    with pytest.raises(PlaceError) as caught:
        read_all(stream_of(server))
    assert str(caught.value) == (
        "s3://logs/dead/a cannot be read to its end (300 of 1024 bytes were read):"
        " the connection was closed without an answer"
    )
    assert len(server.asked) == 5  # the cut was the first attempt


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (403, "status 403 AccessDenied; whoever replays needs s3:ListBucket and s3:GetObject there"),
        (404, "status 404"),
        (412, "status 412; the object was replaced while it was read; run the same command again"),
    ],
)
def test_what_does_not_pass_is_not_tried_again(status: int, sentence: str) -> None:
    server = Server(status)
    with pytest.raises(PlaceError) as caught:
        read_all(stream_of(server))
    assert str(caught.value) == f"s3://logs/dead/a cannot be read: {sentence}"
    assert len(server.asked) == 1
