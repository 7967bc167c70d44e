from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.emulator_async import run, until
from tailrace.emulator.machine.effects import PostTelemetry
from tailrace.emulator.machine.facts import SubscriberConnected, TelemetryAnswered
from tailrace.emulator.telemetry.sender import TelemetrySender

Told = TelemetryAnswered | SubscriberConnected


class Subscriber:
    """A listener that keeps what it gets and answers with the prepared bytes."""

    def __init__(self, answer: bytes, *, closes: bool) -> None:
        self.answer = answer
        self.closes = closes
        self.posts: list[tuple[str, bytes]] = []
        self.connections = 0
        self.open = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length: ")[2].partition("\r")[0])
                self.posts.append((head, await reader.readexactly(length)))
                await self.may_answer.wait()
                writer.write(self.answer)
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def subscribed(
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", *, closes: bool = False
) -> AsyncIterator[tuple[Subscriber, TelemetrySender, list[Told], int]]:
    subscriber = Subscriber(answer, closes=closes)
    server = await asyncio.start_server(subscriber.serve, "127.0.0.1", 0)
    facts: list[Told] = []
    sender = TelemetrySender(facts.append)
    port = server.sockets[0].getsockname()[1]
    try:
        yield subscriber, sender, facts, port
    finally:
        subscriber.may_answer.set()
        await sender.close()
        await until(lambda: subscriber.open == 0)
        server.close()
        await server.wait_closed()


def post(delivery: int, uri: str, body: bytes = b"[]", subscriber: str = "agent") -> PostTelemetry:
    return PostTelemetry(delivery, subscriber, uri, body, ())


async def answered(facts: list[Told], count: int) -> None:
    await until(lambda: len(facts) == count)


def test_one_connection_carries_all_posts_of_a_subscriber() -> None:
    async def main() -> None:
        async with subscribed() as (subscriber, sender, facts, port):
            for n in range(3):
                sender.post(post(n, f"http://sandbox.localdomain:{port}/logs/in?x=1", b"[%d]" % n))
                await answered(facts, n + 1)
            assert facts == [TelemetryAnswered(n, 200) for n in range(3)]
            assert subscriber.connections == 1
            head, body = subscriber.posts[2]
            assert body == b"[2]"
            assert head.startswith("POST /logs/in?x=1 HTTP/1.1\r\n")
            assert f"Host: sandbox.localdomain:{port}\r\n" in head
            assert "Content-Type: application/json\r\n" in head

    run(main())


def test_a_subscriber_of_the_logs_api_may_want_put() -> None:
    async def main() -> None:
        async with subscribed() as (subscriber, sender, facts, port):
            sender.post(PostTelemetry(1, "agent", f"http://sandbox:{port}/logs", b"[]", (), "PUT"))
            await answered(facts, 1)
            assert subscriber.posts[0][0].startswith("PUT /logs HTTP/1.1\r\n")

    run(main())


def test_a_subscriber_that_moved_to_another_port_is_found_there() -> None:
    async def main() -> None:
        async with subscribed() as (old, sender, facts, old_port), subscribed() as (new, _, _, new_port):
            sender.post(post(1, f"http://sandbox:{old_port}"))
            await answered(facts, 1)
            sender.post(post(2, f"http://sandbox:{new_port}"))
            await answered(facts, 2)
            assert (len(old.posts), len(new.posts)) == (1, 1)
            await sender.close()

    run(main())


def test_a_subscriber_that_closes_after_each_answer_gets_every_post() -> None:
    async def main() -> None:
        async with subscribed(b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nuntil the end", closes=True) as served:
            subscriber, sender, facts, port = served
            for n in range(3):
                sender.post(post(n, f"http://sandbox:{port}"))
                await answered(facts, n + 1)
            assert facts == [TelemetryAnswered(n, 200) for n in range(3)]
            assert subscriber.posts[0][0].startswith("POST / HTTP/1.1")

    run(main())


def test_an_error_status_is_reported_as_it_is() -> None:
    async def main() -> None:
        async with subscribed(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n") as (_, sender, facts, port):
            sender.post(post(1, f"http://127.0.0.1:{port}/"))
            await until(lambda: facts != [])
            assert facts == [TelemetryAnswered(1, 500)]

    run(main())


def test_nobody_listening_is_a_failure_with_its_reason() -> None:
    async def main() -> None:
        async with subscribed() as (_, sender, facts, _port):
            probe = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
            free_port = probe.sockets[0].getsockname()[1]
            probe.close()
            await probe.wait_closed()
            sender.post(post(1, f"http://sandbox.localdomain:{free_port}"))
            await until(lambda: facts != [])
            assert facts == [TelemetryAnswered(1, 0, "connection refused")]

    run(main())


def test_only_the_sandbox_is_a_destination() -> None:
    async def main() -> None:
        async with subscribed() as (_, sender, facts, _port):
            for n, uri in enumerate(("http://example.com:80/", "https://sandbox:1/", "http://sandbox:99999/")):
                sender.post(post(n, uri))
            await until(lambda: len(facts) == 3)
            assert [fact.status for fact in facts if isinstance(fact, TelemetryAnswered)] == [0, 0, 0]
            assert all(fact.error for fact in facts)

    run(main())


def test_a_connection_closed_without_an_answer_is_a_failure() -> None:
    async def main() -> None:
        async with subscribed(b"", closes=True) as (_, sender, facts, port):
            sender.post(post(1, f"http://sandbox:{port}"))
            await until(lambda: facts != [])
            assert facts == [TelemetryAnswered(1, 0, "connection closed before an answer")]

    run(main())


def test_an_answer_that_is_not_http_is_a_failure() -> None:
    async def main() -> None:
        async with subscribed(b"+OK\r\n") as (_, sender, facts, port):
            sender.post(post(1, f"http://sandbox:{port}"))
            await until(lambda: facts != [])
            assert facts == [TelemetryAnswered(1, 0, "the answer is not HTTP")]

    run(main())


def test_an_abandoned_delivery_is_never_reported_and_its_connection_not_used_again() -> None:
    async def main() -> None:
        async with subscribed() as (subscriber, sender, facts, port):
            subscriber.may_answer.clear()
            sender.post(post(1, f"http://sandbox:{port}"))
            await until(lambda: len(subscriber.posts) == 1)
            sender.abandon(1)
            sender.abandon(1)
            subscriber.may_answer.set()
            sender.post(post(2, f"http://sandbox:{port}"))
            await until(lambda: facts != [])
            assert facts == [TelemetryAnswered(2, 200)]
            assert subscriber.connections == 2

    run(main())


def test_subscribers_do_not_wait_for_each_other() -> None:
    async def main() -> None:
        async with subscribed() as (slow, sender, facts, slow_port), subscribed() as (_quick, _, _, quick_port):
            slow.may_answer.clear()
            sender.post(post(1, f"http://sandbox:{slow_port}", subscriber="slow"))
            sender.post(post(2, f"http://sandbox:{quick_port}", subscriber="quick"))
            await until(lambda: facts != [])
            assert facts == [TelemetryAnswered(2, 200)]
            await sender.close()

    run(main())
