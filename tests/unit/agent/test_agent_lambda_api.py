"""The tiny HTTP client, against servers that answer in every way a server may."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tailrace.agent.lambda_api import LambdaApi, header_value

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def server(*connections: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Serves one list of replies per connection, each after one request, then closes. Yields address and requests."""
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve() -> None:
        for replies in connections:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                for reply in replies:
                    seen.append(read_request(connection))
                    connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        thread.join(10)
        listener.close()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(1)
    wanted = int(header_value(data, b"content-length") or b"0")
    for _ in range(wanted):
        data += connection.recv(1)
    return data


def test_a_request_carries_its_lines_and_length_and_nothing_else() -> None:
    with server([OK]) as (address, seen):
        api = LambdaApi(address)
        api.request("POST", "/register", "A: b\r\n", b"{}")
        api.close()
    assert seen == [f"POST /register HTTP/1.1\r\nHost: {address}\r\nA: b\r\nContent-Length: 2\r\n\r\n{{}}".encode()]


def test_one_connection_carries_many_requests() -> None:
    with server([OK, OK, OK]) as (address, seen):
        api = LambdaApi(address)
        assert [api.request("GET", "/", "").body for _ in range(3)] == [b"ok"] * 3
        api.close()
    assert len(seen) == 3


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced() -> None:
    with server([OK], [OK]) as (address, seen):
        api = LambdaApi(address)
        api.request("GET", "/one", "")
        assert api.request("GET", "/two", "").body == b"ok"
        api.close()
    assert [request.split()[1] for request in seen] == [b"/one", b"/two"]


def test_connection_close_and_http_1_0_are_honoured() -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    old = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with server([closing], [old], [OK]) as (address, seen):
        api = LambdaApi(address)
        assert [api.request("GET", "/", "").body for _ in range(3)] == [b"ok"] * 3
        api.close()
    assert len(seen) == 3


def test_a_chunked_body_is_put_together() -> None:
    reply = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
    )
    with server([reply, OK]) as (address, _):
        api = LambdaApi(address)
        assert api.request("GET", "/", "").body == b"abc0123456789"
        assert api.request("GET", "/", "").body == b"ok"
        api.close()


def test_headers_are_found_whatever_their_case() -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Lambda-Extension-Identifier: wrong\r\nlambda-EXTENSION-identifier:  Abc-1 \r\nA: b"
    assert header_value(head, b"lambda-extension-identifier") == b"Abc-1"
    assert header_value(head, b"a") == b"b"
    assert header_value(head, b"missing") == b""


def test_a_reply_cut_short_is_an_error_and_the_next_request_starts_afresh() -> None:
    with server([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"], [OK]) as (address, _):
        api = LambdaApi(address)
        with pytest.raises(ConnectionResetError):
            api.request("GET", "/", "")
        assert api.request("GET", "/", "").body == b"ok"
        api.close()


def test_what_is_not_http_is_an_error() -> None:
    with server([b"220 mail ready\r\n\r\n"]) as (address, _):
        api = LambdaApi(address)
        with pytest.raises(ValueError, match="not HTTP"):
            api.request("GET", "/", "")


def test_nobody_there_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        LambdaApi(f"127.0.0.1:{port}").request("GET", "/", "")


def test_the_caller_is_told_when_the_request_is_on_its_way_and_only_once() -> None:
    told = []
    with server([OK], [OK]) as (address, seen):
        api = LambdaApi(address)
        api.request("GET", "/", "")
        api.request("GET", "/", "", b"", lambda: told.append(len(seen)))
        api.close()
    assert len(told) == 1
