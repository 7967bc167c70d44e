from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import socket
import tracemalloc
import weakref
from collections.abc import Awaitable, Callable

import pytest

from support.emulator_async import run, until
from support.emulator_http import Client
from tailrace.emulator.servers.http_server import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    HttpConnection,
    HttpServer,
    Request,
    render_response,
)


class Recorder:
    """Keeps requests; answers each at once with its body, unless `hold` is set."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections: list[HttpConnection] = []
        self.gone: list[HttpConnection] = []
        self.hold = False
        self.on_request: Callable[[Request], None] = lambda request: None

    def request_received(self, connection: HttpConnection, request: Request) -> None:
        self.on_request(request)
        self.requests.append(request)
        self.connections.append(connection)
        if not self.hold:
            connection.respond(200, (("X-Target", request.target),), request.body)

    def client_gone(self, connection: HttpConnection) -> None:
        self.gone.append(connection)


Connect = Callable[[], Awaitable[Client]]
Scenario = Callable[[Recorder, Connect], Awaitable[None]]


def serve(scenario: Scenario) -> None:
    """Run `scenario(recorder, connect)` against a real listener."""

    async def main() -> None:
        recorder = Recorder()
        server = HttpServer(recorder)
        await server.start()
        clients: list[Client] = []

        async def connect() -> Client:
            clients.append(await Client.connect(server.port))
            return clients[-1]

        try:
            await scenario(recorder, connect)
        finally:
            for client in clients:
                client.writer.close()
            await server.stop()

    run(main())


def test_a_request_began_with_its_first_byte() -> None:
    """Whatever time its body takes, and however long it waits for the one before it."""
    readings = iter(range(100))
    seen: list[int] = []

    def now_ns() -> int:
        seen.append(next(readings))
        return seen[-1]

    async def main() -> None:
        recorder = Recorder()
        recorder.hold = True
        server = HttpServer(recorder, now_ns=now_ns)
        await server.start()
        client = await Client.connect(server.port)
        await client.send(b"P")
        await until(lambda: seen == [0])
        await client.send(b"OST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nh")
        await client.send(b"iGET /second HTTP/1.1\r\n\r\n")
        await until(lambda: len(recorder.requests) == 1 and seen == [0, 1])
        recorder.connections[0].respond(200, (), b"")
        assert [request.began_ns for request in recorder.requests] == [0, 1]
        recorder.connections[0].respond(200, (), b"")
        await client.close()
        await server.stop()

    run(main())


def test_a_client_that_leaves_in_the_middle_of_its_second_request_gives_up_the_first() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        recorder.hold = True
        client = await connect()
        await client.send(b"GET /next HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf")
        await until(lambda: len(recorder.requests) == 1)
        client.writer.write_eof()
        await until(lambda: recorder.gone == recorder.connections)
        assert len(recorder.requests) == 1

    serve(scenario)


def test_keep_alive_serves_one_request_after_the_other() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        client = await connect()
        for n in range(3):
            await client.send(b"POST /r/%d?q=1 HTTP/1.1\r\nHost: x\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi" % n)
            status, headers, body = await client.response()
            assert (status, body, headers["x-target"]) == (200, b"hi", f"/r/{n}?q=1")
        assert recorder.requests[0].headers["x-a"] == "b"
        assert len(set(recorder.connections)) == 1

    serve(scenario)


def test_pipelined_requests_are_handed_over_one_by_one_and_answered_in_order() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        recorder.hold = True
        client = await connect()
        await client.send(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
        await until(lambda: len(recorder.requests) == 1)
        recorder.connections[0].respond(200, (), b"first")
        assert [request.target for request in recorder.requests] == ["/1", "/2"]
        recorder.connections[0].respond(200, (), b"second")
        assert [(await client.response())[2] for _ in range(2)] == [b"first", b"second"]

    serve(scenario)


def test_chunked_bodies_with_trailers_are_whole() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        client = await connect()
        await client.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n3\r\nabc\r\n")
        await client.send(b"2\r\nde\r\n0\r\nT: late\r\n\r\n")
        assert (await client.response())[2] == b"abcde"
        assert "t" not in recorder.requests[0].headers

    serve(scenario)


def test_a_client_that_asks_before_it_sends_is_told_to_go_on() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        client = await connect()
        await client.send(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert (await client.response())[0] == 100
        await client.send(b"ok")
        assert (await client.response())[2] == b"ok"

    serve(scenario)


def test_an_offer_of_http2_is_passed_over_and_its_body_is_read() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        client = await connect()
        await client.send(
            b"POST /x HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
            b"Content-Length: 4\r\n\r\nbodyGET /y HTTP/1.1\r\n\r\n"
        )
        assert (await client.response())[2] == b"body"
        assert (await client.response())[1]["x-target"] == "/y"

    serve(scenario)


def test_head_is_answered_without_a_body_but_with_its_length() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        recorder.hold = True
        client = await connect()
        await client.send(b"HEAD / HTTP/1.1\r\n\r\n")
        await until(lambda: recorder.requests != [])
        recorder.connections[0].respond(405, (), b"not sent")
        status, headers, _ = await client.response(has_body=False)
        assert (status, headers["content-length"]) == (405, "8")
        await client.send(b"GET /next HTTP/1.1\r\n\r\n")
        await until(lambda: len(recorder.requests) == 2)

    serve(scenario)


def test_a_body_cut_short_by_the_client_is_reported_as_truncated_and_answered() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        client = await connect()
        await client.send(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")
        client.writer.write_eof()
        status, headers, body = await client.response()
        assert (status, body, headers["connection"]) == (200, b"half", "close")
        assert recorder.requests[0].truncated

    serve(scenario)


def test_a_connection_lost_in_mid_body_is_truncated_too() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        client = await connect()
        await client.send(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")
        client.writer.transport.abort()
        await until(lambda: recorder.requests != [])
        assert recorder.requests[0].truncated

    serve(scenario)


def test_nonsense_inside_a_chunked_body_is_a_truncation() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        client = await connect()
        await client.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
        assert (await client.response())[2] == b"abc"
        assert recorder.requests[0].truncated
        assert await client.reader.read() == b""

    serve(scenario)


def test_a_client_that_leaves_while_it_waits_is_reported_once() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        recorder.hold = True
        client = await connect()
        await client.send(b"GET /next HTTP/1.1\r\n\r\n")
        await until(lambda: recorder.requests != [])
        await client.close()
        await until(lambda: recorder.gone != [])
        recorder.connections[0].respond(200, (), b"too late")
        assert recorder.gone == recorder.connections

    serve(scenario)


def test_what_is_not_http_gets_400_and_does_not_reach_the_handler() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        for nonsense in (b"\x16\x03\x01\x00hello\r\n\r\n", b"GET\r\n\r\n", b"FOO / HTTP/1.1\r\n\r\n"):
            client = await connect()
            await client.send(nonsense)
            assert (await client.response())[0] == 400
            assert await client.reader.read() == b""
        assert recorder.requests == []

    serve(scenario)


def test_connect_is_refused_and_an_endless_head_too() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        client = await connect()
        await client.send(b"CONNECT a:1 HTTP/1.1\r\n\r\n")
        assert (await client.response())[0] == 405
        client = await connect()
        header = b"X-Long: " + b"a" * 100_000 + b"\r\n"
        client.writer.write(b"GET / HTTP/1.1\r\n" + header * (MAX_HEAD_BYTES // 100_000 + 2))
        assert (await client.response())[0] == 431
        assert recorder.requests == []

    serve(scenario)


def test_of_an_enormous_body_only_the_limit_is_kept() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        recorder.hold = True
        client = await connect()
        size = MAX_BODY_BYTES + 12345
        await client.send(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        await until(lambda: recorder.requests != [])
        assert len(recorder.requests[0].body) == MAX_BODY_BYTES
        assert not recorder.requests[0].truncated

    serve(scenario)


def test_old_clients_get_their_connection_closed() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        client = await connect()
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.response())[1]["connection"] == "close"
        assert await client.reader.read() == b""

    serve(scenario)


def test_a_header_value_cannot_break_out_of_its_header() -> None:
    response = render_response(200, (("X-A", "a\r\nX-Evil: 1"), ("X-B", "é")), b"", close=False)
    assert b"\r\nX-Evil" not in response
    assert "X-B: é".encode() in response


def test_content_length_is_always_ours() -> None:
    response = render_response(202, (("Content-Length", "999"),), b"abc", close=False)
    assert response.count(b"Content-Length") == 1
    assert b"Content-Length: 3\r\n" in response
    assert b"Content-Length" not in render_response(204, (), b"", close=False)


@pytest.mark.parametrize("turns", range(5))
def test_a_cut_leaves_nothing_unread_of_clients_that_came_before_it(turns: int) -> None:
    """Whether the loop has not accepted them yet, has accepted them, or has just made their connections."""

    async def main() -> None:
        recorder = Recorder()
        server = HttpServer(recorder)
        await server.start()
        held = await Client.connect(server.port)
        await held.send(b"POST /held HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf")
        await asyncio.sleep(0)
        old = socket.create_connection(("127.0.0.1", server.port), timeout=5)  # blocks, but the kernel answers
        for _ in range(turns):
            await asyncio.sleep(0)
        old.sendall(b"POST /old HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        server.cut_all()
        client = await Client.connect(server.port)
        await client.send(b"GET /new HTTP/1.1\r\n\r\n")
        assert (await client.response())[0] == 200
        with contextlib.suppress(ConnectionError):
            assert await held.reader.read() == b""
        with contextlib.suppress(ConnectionError):
            assert old.recv(100) == b""
        assert [request.target for request in recorder.requests] == ["/new"]
        old.close()
        await client.close()
        held.writer.close()
        await server.stop()

    run(main())


def test_many_requests_behind_an_unanswered_one_are_answered_one_after_the_other() -> None:
    """However many: those that are answered at once do not pile up on the stack."""

    async def scenario(recorder: Recorder, connect: Connect) -> None:
        deep = asyncio.get_running_loop().create_future()

        def deepest(request: Request) -> None:
            if request.target == "/last":
                deep.set_result(len(inspect.stack(0)))

        recorder.hold = True
        client = await connect()
        await client.send(b"GET /first HTTP/1.1\r\n\r\n" + b"GET /more HTTP/1.1\r\n\r\n" * 99)
        await client.send(b"GET /last HTTP/1.1\r\n\r\n")
        await until(lambda: len(recorder.requests) == 1)
        recorder.hold = False
        recorder.on_request = deepest
        before = len(inspect.stack(0))
        await asyncio.sleep(0)
        recorder.connections[0].respond(200, (), b"")
        for _ in range(101):
            assert (await client.response())[0] == 200
        assert await deep < before + 10

    serve(scenario)


def test_a_client_that_sends_on_and_on_behind_an_unanswered_request_is_cut_off() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        recorder.hold = True
        client = await connect()
        with contextlib.suppress(ConnectionError):
            await client.send(b"GET /next HTTP/1.1\r\n\r\n" * 1000)
            assert await client.reader.read() == b""
        await until(lambda: recorder.gone == recorder.connections)
        assert len(recorder.requests) == 1

    serve(scenario)


def test_a_body_in_a_great_many_pieces_costs_no_more_memory_than_in_one() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        client = await connect()
        await client.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        tracemalloc.start()
        try:
            for _ in range(10):
                await client.send(b"2\r\nab\r\n" * 10_000)
            await client.send(b"0\r\n\r\n")
            assert await client.response() == (200, {"x-target": "/", "content-length": "200000"}, b"ab" * 100_000)
            assert tracemalloc.get_traced_memory()[1] < 3_000_000
        finally:
            tracemalloc.stop()

    serve(scenario)


def test_what_a_closed_connection_held_is_freed_at_once() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        client = await connect()
        await client.send(b"GET / HTTP/1.1\r\n\r\n")
        await client.response()
        connection = weakref.ref(recorder.connections[0])
        gc.disable()
        try:
            recorder.connections.clear()
            client.writer.close()
            await until(lambda: connection() is None)
        finally:
            gc.enable()

    serve(scenario)


def test_a_client_that_does_not_read_its_answers_is_not_read_either_until_it_does() -> None:
    async def scenario(recorder: Recorder, connect: Connect) -> None:
        wanted = 4_000
        client = await connect()
        client.writer.write((b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n") * wanted)
        await until(lambda: len(recorder.requests) > 0)
        await until(lambda: not recorder.connections[0].is_reading)
        assert len(recorder.requests) < wanted
        for _ in range(wanted):
            assert (await client.response())[0] == 200

    serve(scenario)
