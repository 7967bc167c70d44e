"""Clients that send anything and leave at any time: the in-sandbox API goes on, and no exchange is forgotten."""

from __future__ import annotations

import asyncio
import random

from support.emulator_async import run, until
from support.emulator_http import Client
from support.machine_world import START_NS, World
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import Respond
from tailrace.emulator.servers.api_server import ApiServer

IDENTIFIER = b"Lambda-Extension-Identifier: 00000000-0000-4000-8000-000000000003\r\n"
REQUESTS = [
    b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /2020-01-01/extension/event/next HTTP/1.1\r\n" + IDENTIFIER + b"\r\n",
    b"POST /2020-01-01/extension/register HTTP/1.1\r\nLambda-Extension-Name: a\r\nContent-Length: 2\r\n\r\n{}",
    b"PUT /2022-07-01/telemetry HTTP/1.1\r\n" + IDENTIFIER + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /2018-06-01/ping HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"HEAD /2018-06-01/ping HTTP/1.1\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\n\r\n",
]
INSERTS = [b"\r\n", b"\0", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n", b"\xff\xfe:"]


def garbled(chance: random.Random) -> bytes:
    data = bytearray(chance.choice(REQUESTS))
    for _ in range(chance.randrange(5)):
        at = chance.randrange(len(data))
        kind = chance.randrange(3)
        if kind == 0:
            data[at] = chance.randrange(256)
        elif kind == 1:
            del data[at : at + 3]
        else:
            data[at:at] = chance.choice(INSERTS)
    return bytes(data)


class Front:
    """A real server before a real machine; counts what is open."""

    def __init__(self) -> None:
        self.world = World("a")
        self.server = ApiServer(self.happened, lambda: START_NS)
        self.open: set[int] = set()

    def happened(self, fact: facts.HttpRequested | facts.HttpAbandoned) -> None:
        if isinstance(fact, facts.HttpRequested):
            self.open.add(fact.exchange)
        else:
            self.open.discard(fact.exchange)
        for effect in self.world.feed(fact):
            if isinstance(effect, Respond):
                self.open.discard(effect.exchange)
                self.server.respond(effect)


def test_whatever_clients_send_the_api_goes_on_and_forgets_no_exchange() -> None:
    chance = random.Random(20)

    async def main() -> None:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
        front = Front()
        await front.server.start()
        port = int(front.server.address.rpartition(":")[2])
        front.world.feed(facts.InitRequested())
        for _ in range(500):
            client = await Client.connect(port)
            data = b"".join(garbled(chance) for _ in range(chance.randrange(1, 4)))
            cut = chance.randrange(len(data))
            client.writer.write(data[:cut])
            await asyncio.sleep(0)
            client.writer.write(data[cut:])
            if chance.random() < 0.3:
                client.writer.write_eof()
            await asyncio.sleep(0)
            client.writer.close()
        await until(lambda: front.open == set())
        client = await Client.connect(port)
        await client.request("GET", "/2018-06-01/ping", {})
        assert (await client.response())[2] == b"pong"
        await client.close()
        await front.server.stop()
        assert faults == []

    run(main())
