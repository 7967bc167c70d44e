"""Telemetry over TCP between real sockets: connected once, in order, a slow reader bounded, a broken line told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.emulator_async import run, until
from tailrace.emulator.machine.effects import ConnectSubscriber, PostTelemetry
from tailrace.emulator.machine.facts import SubscriberConnected, TelemetryAnswered
from tailrace.emulator.telemetry.sender import TelemetrySender

Told = TelemetryAnswered | SubscriberConnected


class Reader:
    """Keeps what comes over each connection, and may stop reading."""

    def __init__(self) -> None:
        self.received: list[bytearray] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.done = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = bytearray()
        self.received.append(received)
        self.writers.append(writer)
        try:
            while True:
                await self.may_read.wait()
                data = await reader.read(65536)
                if not data:
                    break
                received += data
        except ConnectionResetError:
            pass
        finally:
            self.done += 1
            writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Reader, TelemetrySender, list[Told], int]]:
    reader = Reader()
    server = await asyncio.start_server(reader.serve, "127.0.0.1", 0, limit=65536)
    told: list[Told] = []
    sender = TelemetrySender(told.append)
    try:
        yield reader, sender, told, server.sockets[0].getsockname()[1]
    finally:
        reader.may_read.set()
        await sender.close()
        await until(lambda: reader.done == len(reader.received))
        server.close()
        await server.wait_closed()


def post(delivery: int, port: int, body: bytes) -> PostTelemetry:
    return PostTelemetry(delivery, "agent", f"tcp://sandbox.localdomain:{port}", body, ())


async def send(sender: TelemetrySender, told: list[Told], effect: PostTelemetry) -> None:
    count = len(told)
    sender.post(effect)
    await until(lambda: len(told) > count)


def test_the_connection_of_the_subscription_carries_every_batch_in_order() -> None:
    async def main() -> None:
        async with listening() as (reader, sender, told, port):
            sender.connect(ConnectSubscriber(7, "agent", port))
            await until(lambda: told == [SubscriberConnected(7)])
            for n in range(5):
                await send(sender, told, post(n, port, b"%d\n" % n))
            assert told[1:] == [TelemetryAnswered(n, 200) for n in range(5)]
            await until(lambda: reader.received == [bytearray(b"0\n1\n2\n3\n4\n")])

    run(main())


def test_nobody_listening_is_told() -> None:
    async def main() -> None:
        async with listening() as (_, sender, told, _port):
            closed = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
            free_port = closed.sockets[0].getsockname()[1]
            closed.close()
            await closed.wait_closed()
            sender.connect(ConnectSubscriber(1, "agent", free_port))
            await until(lambda: told == [SubscriberConnected(1, "connection refused")])

    run(main())


def test_a_reader_that_does_not_read_holds_up_its_own_delivery_only() -> None:
    async def main() -> None:
        async with listening() as (slow, sender, told, slow_port), listening() as (quick, other, others, quick_port):
            slow.may_read.clear()
            body = b"x" * (16 * 1024 * 1024)
            sender.post(post(1, slow_port, body))
            await send(other, others, post(2, quick_port, b"quick\n"))
            await until(lambda: bool(quick.received) and bytes(quick.received[0]) == b"quick\n")
            assert told == []
            slow.may_read.set()
            await until(lambda: told == [TelemetryAnswered(1, 200)])
            await until(lambda: len(slow.received[0]) == len(body))

    run(main())


def test_a_connection_that_the_reader_closed_is_told_and_then_made_again() -> None:
    async def main() -> None:
        async with listening() as (reader, sender, told, port):
            sender.connect(ConnectSubscriber(1, "agent", port))
            await until(lambda: len(reader.writers) == 1)
            reader.writers[0].transport.abort()
            await until(lambda: reader.done == 1)
            while len(reader.received) == 1:  # how soon the end is noticed is the kernel's affair
                await send(sender, told, post(len(told), port, b"line\n"))
            failures = [fact for fact in told[1:] if fact.error]
            assert len(failures) == 1
            await until(lambda: bytes(reader.received[1]) == b"line\n")

    run(main())


def test_a_new_subscription_takes_the_place_of_the_old_connection() -> None:
    async def main() -> None:
        async with listening() as (first, sender, told, first_port), listening() as (second, _, _, second_port):
            sender.connect(ConnectSubscriber(1, "agent", first_port))
            await until(lambda: len(first.received) == 1)
            sender.connect(ConnectSubscriber(2, "agent", second_port))
            await until(lambda: first.done == 1 and SubscriberConnected(2) in told)
            await send(sender, told, post(1, second_port, b"new\n"))
            await until(lambda: second.received == [bytearray(b"new\n")])
            assert first.received == [bytearray()]
            await sender.close()

    run(main())
