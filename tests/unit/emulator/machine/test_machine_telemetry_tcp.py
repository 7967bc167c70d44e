"""Telemetry over TCP in the machine: the listener comes first, nobody acknowledges, a broken connection, a freeze."""

from __future__ import annotations

import json
from typing import Any

from support.machine_world import World, ext
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import ConfirmDelivery, ConnectSubscriber, PublishEvent
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import extensions_api, telemetry_api
from tailrace.protocol.telemetry_api import TCP, Subscription


def request(world: World, *types: str, port: int = 4243, name: str = "a") -> int:
    """Ask for a subscription; its exchange."""
    wanted = Subscription("2025-01-29", types or ("platform", "function"), "", timeout_ms=25, protocol=TCP, port=port)
    identifier = {extensions_api.IDENTIFIER: world.identifiers[name]}
    return world.http("PUT", telemetry_api.PATH, identifier, wanted.body())


def registered(**changes: Any) -> World:
    world = World("a", timeout_s=900, **changes)
    world.listening = {4243, 4244}
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE", "SHUTDOWN")
    return world


def subscribed(*types: str, **changes: Any) -> World:
    world = registered(**changes)
    assert world.responses[request(world, *types)].status == 200
    world.extension_next("a")
    world.runtime_next()
    world.invoke()
    return world


def answer(world: World, status: int = 200, error: str = "") -> None:
    world.feed(facts.TelemetryAnswered(world.posts()[-1].delivery, status, error))


def test_without_a_listener_the_subscription_is_refused() -> None:
    world = registered()
    refused = world.responses[request(world, port=4999)]
    assert (refused.status, json.loads(refused.body)) == (
        400,
        {
            "errorMessage": "Invalid destination: could not TCP dial provided address 127.0.0.1:4999: "
            "dial tcp 127.0.0.1:4999: connect: connection refused",
            "errorType": "ValidationError",
        },
    )
    assert "platform.telemetrySubscription" not in world.types()


def test_events_are_lines_in_order_one_batch_after_the_other() -> None:
    world = subscribed("function")
    for number in range(3):
        world.line(str(number))
        world.advance(25)
    assert [json.loads(line)["record"] for line in world.posts()[0].body.splitlines()] == ["0"]
    assert len(world.posts()) == 1
    answer(world)
    assert [json.loads(line)["record"] for line in world.posts()[1].body.splitlines()] == ["1", "2"]
    assert world.posts()[1].body.endswith(b"\n")


def test_a_reader_that_takes_its_time_is_waited_for() -> None:
    world = subscribed("function")
    world.line("one")
    world.advance(600_000)
    assert len(world.posts()) == 1
    answer(world)
    assert len(world.of(ConfirmDelivery)) == 1


def test_a_broken_connection_is_made_again_and_the_batch_sent_again() -> None:
    world = subscribed("function")
    world.line("one")
    world.advance(25)
    answer(world, 0, "connection closed")
    world.advance(100)
    assert len(world.posts()) == 2
    assert world.posts()[1].body == world.posts()[0].body


def test_as_the_platforms_own_emulator_has_it_a_broken_connection_loses_everything() -> None:
    world = subscribed("platform", "function", policy=Policy(telemetry_tcp_reconnects=False))
    world.advance(25)
    answer(world, 0, "connection closed")
    for number in range(100):
        world.line(str(number))
        world.advance(25)
    assert len(world.posts()) == 1
    record = world.record("platform.logsDropped")
    assert record["reason"] == "could not send events: connection closed"
    told = sum(1 for kind in world.types() if kind == "platform.logsDropped")
    lines = [event for event in world.of(PublishEvent) if event.event["type"] == "function"]
    assert told <= len(lines) + 1


def test_nothing_is_written_while_frozen() -> None:
    world = subscribed("platform", "function")
    world.finish("10000000-0000-4000-8000-000000000001")
    assert world.frozen
    before = len(world.posts())
    world.line("late", ext("a"))
    world.advance(60_000)
    assert len(world.posts()) == before


def test_a_second_subscription_moves_to_the_other_port_and_a_failed_one_changes_nothing() -> None:
    world = registered()
    assert world.responses[request(world, "function")].status == 200
    assert world.responses[request(world, "function", port=4999)].status == 400
    assert world.responses[request(world, "function", port=4244)].status == 200
    world.extension_next("a")
    world.runtime_next()
    world.invoke()
    world.line("one")
    world.advance(25)
    assert [post.uri for post in world.posts()] == ["tcp://sandbox.localdomain:4244"]


def pending() -> tuple[World, int, int]:
    world = registered()
    world.listening = None
    exchange = request(world)
    return world, exchange, world.of(ConnectSubscriber)[-1].connection


def check_closed(world: World, exchange: int) -> None:
    found = world.responses[exchange]
    assert (found.status, json.loads(found.body)["errorType"]) == (403, "Telemetry.SubscriptionClosed")


def test_a_window_that_closes_meanwhile_is_closed() -> None:
    world, exchange, connection = pending()
    world.extension_next("a")
    world.runtime_next()
    world.feed(facts.SubscriberConnected(connection))
    check_closed(world, exchange)


def test_an_extension_that_was_replaced_meanwhile_has_no_subscription() -> None:
    world, exchange, connection = pending()
    world.exit(ext("a"), 1)
    world.die_on_signals()
    world.exit("runtime", None, "SIGKILL")
    world.invoke()
    world.feed(facts.SubscriberConnected(connection))
    check_closed(world, exchange)


def test_news_of_a_connection_that_nobody_waits_for_is_ignored() -> None:
    world, exchange, connection = pending()
    world.feed(facts.SubscriberConnected(connection))
    assert world.responses[exchange].status == 200
    before = len(world.effects)
    world.feed(facts.SubscriberConnected(connection))
    world.feed(facts.SubscriberConnected(99, "refused"))
    assert len(world.effects) == before


def test_both_apis_at_once_end_with_one() -> None:
    world, exchange, connection = pending()
    assert world.subscribe("a").status == 200
    world.feed(facts.SubscriberConnected(connection))
    assert world.responses[exchange].status == 200
    assert world.types().count("platform.telemetrySubscription") == 2
