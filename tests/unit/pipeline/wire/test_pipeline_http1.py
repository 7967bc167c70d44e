from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.pipeline.wire.http1 import (
    MAX_HEAD_BYTES,
    MalformedMessageError,
    SizedBody,
    parse_head,
    request_body,
    split_head,
)
from tailrace.pipeline.wire.http1_bodies import ChunkedBody, EndlessBody, reply_body


def chunked(pieces: list[bytes], extension: str = "", trailer: bytes = b"") -> bytes:
    wire = b"".join(f"{len(p):x}{extension}\r\n".encode() + p + b"\r\n" for p in pieces if p)
    return wire + b"0\r\n" + trailer + b"\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(p % (len(data) + 1) for p in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(
    st.lists(st.binary(max_size=40), max_size=8),
    st.sampled_from(["", ";a=b", " ", " ; q"]),
    st.sampled_from([b"", b"X: y\r\n", b"A: b\r\nC: d\r\n"]),
    st.lists(st.integers(0, 10_000), max_size=12),
    st.binary(max_size=10),
)
def test_chunks_are_put_together_however_the_wire_cut_them(
    pieces: list[bytes], extension: str, trailer: bytes, places: list[int], after: bytes
) -> None:
    body = ChunkedBody()
    wire = chunked(pieces, extension, trailer) + after
    got = b"".join(body.feed(part) for part in cut(wire, places))
    assert got == b"".join(pieces)
    assert body.done
    assert body.rest == after


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4), st.data())
def test_a_chunked_body_that_is_cut_short_is_never_done(pieces: list[bytes], data: st.DataObject) -> None:
    wire = chunked(pieces)
    body = ChunkedBody()
    got = body.feed(wire[: data.draw(st.integers(0, len(wire) - 1))])
    assert not body.done
    assert b"".join(pieces).startswith(got)


@given(st.binary(max_size=200))
def test_nonsense_is_malformed_or_unfinished_but_nothing_else(wire: bytes) -> None:
    body = ChunkedBody()
    with suppress(MalformedMessageError):
        assert len(body.feed(wire)) <= len(wire)


@pytest.mark.parametrize(
    "wire", [b"-1\r\n", b"+3\r\nabc\r\n", b"0x3\r\nabc\r\n", b"\r\n", b"3\r\nabcd\r\n", b"1" * 5000]
)
def test_bad_chunk_lines_are_malformed(wire: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        ChunkedBody().feed(wire)


def test_a_trailer_without_end_is_malformed() -> None:
    body = ChunkedBody()
    body.feed(b"0\r\n")
    with pytest.raises(MalformedMessageError):
        body.feed(b"".join(b"X: " + b"y" * 1000 + b"\r\n" for _ in range(100)))


@given(st.binary(max_size=100), st.integers(0, 100), st.lists(st.integers(0, 200), max_size=5))
def test_a_sized_body_takes_its_size_and_leaves_the_rest(data: bytes, size: int, places: list[int]) -> None:
    body = SizedBody(size)
    got = b"".join(body.feed(part) for part in cut(data, places))
    assert got == data[:size]
    assert body.done == (len(data) >= size)
    assert body.rest == data[size:]


def test_heads_are_split_from_what_follows_and_bounded() -> None:
    assert split_head(b"GET / HTTP/1.1\r\nA: b\r\n") is None
    assert split_head(b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody") == (b"GET / HTTP/1.1\r\nA: b", b"body")
    with pytest.raises(MalformedMessageError):
        split_head(b"x" * (MAX_HEAD_BYTES + 1))


def test_header_names_are_lower_case_and_repeated_ones_joined() -> None:
    head = parse_head(b"HTTP/1.1 404 Not Found at all\r\nA-B:  c \r\na-b: d\r\nConnection: Keep-Alive, Close")
    assert head.start == ("HTTP/1.1", "404", "Not Found at all")
    assert head.headers["a-b"] == "c, d"
    assert head.has_token("connection", "close")
    assert not head.has_token("connection", "upgrade")


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense", b"GET / HTTP/1.1\r\nno colon", b"GET / HTTP/1.1\r\nA : b", b"G /\r\n: b"]
)
def test_bad_heads_are_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        parse_head(raw)


@pytest.mark.parametrize("value", ["x", "-1", "1_0", "1, 2", "9" * 30, "٣"])
def test_a_length_that_is_no_number_is_malformed(value: str) -> None:
    head = parse_head(f"POST / HTTP/1.1\r\nContent-Length: {value}".encode("latin-1", "replace"))
    with pytest.raises(MalformedMessageError):
        request_body(head)


def test_which_body_a_message_has() -> None:
    def kind(raw: bytes) -> object:
        return type(request_body(parse_head(raw)))

    assert kind(b"POST / HTTP/1.1\r\nContent-Length: 3, 3") is SizedBody
    assert kind(b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked") is ChunkedBody
    with pytest.raises(MalformedMessageError):
        kind(b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip")
    plain = parse_head(b"HTTP/1.1 200 OK")
    assert isinstance(reply_body(plain, "GET", 200), EndlessBody)
    assert all(reply_body(plain, method, status).done for method, status in (("HEAD", 200), ("PUT", 204), ("GET", 304)))
