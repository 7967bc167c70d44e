from __future__ import annotations

import asyncio
import contextlib

from support.emulator_async import run, until
from tailrace.emulator.machine.effects import Respond
from tailrace.emulator.machine.facts import HttpAbandoned, HttpRequested
from tailrace.emulator.servers.api_server import ApiServer


def test_requests_become_facts_and_respond_effects_become_responses() -> None:
    async def main() -> None:
        facts: list[object] = []
        server = ApiServer(facts.append, lambda: 7)
        await server.start()
        host, _, port = server.address.rpartition(":")
        assert host == "127.0.0.1"
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /a/b?x=1 HTTP/1.1\r\nLambda-Extension-Name: n\r\nContent-Length: 2\r\n\r\nhi")
        await until(lambda: facts != [])
        fact = facts[0]
        assert isinstance(fact, HttpRequested)
        assert (fact.method, fact.path, fact.body, fact.truncated) == ("POST", "/a/b", b"hi", False)
        assert fact.headers["lambda-extension-name"] == "n"
        assert fact.began_ns == 7
        server.respond(Respond(fact.exchange, 200, (("A", "b"),), b"ok"))
        server.respond(Respond(fact.exchange, 200, (), b"twice"))
        server.respond(Respond(9999, 200, (), b"unknown"))
        response = await reader.readuntil(b"ok")
        assert response.startswith(b"HTTP/1.1 200 OK\r\nA: b\r\n")
        writer.close()
        await server.stop()

    run(main())


def test_a_long_poll_whose_client_left_is_abandoned_and_its_answer_ignored() -> None:
    async def main() -> None:
        facts: list[object] = []
        server = ApiServer(facts.append, lambda: 7)
        await server.start()
        port = int(server.address.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /next HTTP/1.1\r\n\r\n")
        await until(lambda: facts != [])
        asked = facts[0]
        assert isinstance(asked, HttpRequested)
        writer.close()
        await until(lambda: len(facts) == 2)
        assert facts[1] == HttpAbandoned(asked.exchange)
        server.respond(Respond(asked.exchange, 200, (), b"late"))
        await server.stop()

    run(main())


def test_stopping_drops_clients_that_wait() -> None:
    async def main() -> None:
        facts: list[object] = []
        server = ApiServer(facts.append, lambda: 7)
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
        writer.write(b"GET /next HTTP/1.1\r\n\r\n")
        await until(lambda: facts != [])
        await server.stop()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()

    run(main())
