"""Telemetry: buffering, order, one request in flight, who is owed what, freeze."""

from __future__ import annotations

import json

from support.machine_telemetry import answer, delivered, subscribed
from support.machine_world import World, ext
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import (
    AbandonTelemetry,
    ConfirmDelivery,
    PublishEvent,
    QueueEvent,
)
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import extensions_api, telemetry_api


def test_the_first_batch_leaves_timeout_ms_after_the_first_event() -> None:
    world = subscribed("function", timeout_ms=25)
    world.line("one")
    world.advance(24)
    world.line("two")
    assert not world.posts()
    world.advance(1)
    [post] = world.posts()
    assert post.uri == "http://sandbox.localdomain:4243/a"
    assert [event["record"] for event in json.loads(post.body)] == ["one", "two"]


def test_a_batch_leaves_when_max_items_is_reached() -> None:
    world = subscribed("function", max_items=1000)
    for number in range(1000):
        assert not world.posts()
        world.line(str(number))
    assert len(json.loads(world.posts()[0].body)) == 1000


def test_the_event_that_fills_a_batch_is_in_it() -> None:
    world = subscribed("function", max_bytes=262_144)
    world.line("x" * 200_000)
    assert not world.posts()
    world.line("y" * 200_000)
    [post] = world.posts()
    assert len(post.body) > 400_000


def test_one_request_is_in_flight_and_order_is_kept() -> None:
    world = subscribed("function", timeout_ms=25)
    for number in range(3):
        world.line(str(number))
        world.advance(25)
    assert len(world.posts()) == 1
    answer(world)
    assert [event["record"] for event in delivered(world)] == ["0", "1", "2"]
    assert len(world.posts()) == 2


def test_confirmed_events_are_those_that_were_sent() -> None:
    world = subscribed("function", timeout_ms=25)
    world.line("one")
    world.advance(25)
    answer(world)
    [confirmed] = world.of(ConfirmDelivery)
    assert (confirmed.subscriber, confirmed.event_ids) == ("a", world.posts()[0].event_ids)
    owed = {event.event_id: dict(event.event) for event in world.of(PublishEvent) if event.owed == ("a",)}
    assert [owed[event_id] for event_id in confirmed.event_ids] == json.loads(world.posts()[0].body)


def test_an_event_is_owed_to_each_of_its_subscribers_even_where_it_is_dropped() -> None:
    world = subscribed("function", policy=Policy(telemetry_max_buffered_bytes=100), version="2022-07-01")
    world.line("kept")
    world.line("x" * 100)
    owed = [(event.owed, event.event["record"]) for event in world.of(PublishEvent) if event.owed]
    assert owed == [(("a",), "kept"), (("a",), "x" * 100)]
    assert not world.of(QueueEvent)


def test_who_gets_an_event_in_another_form_is_told_which() -> None:
    world = subscribed("platform", version="2022-07-01")
    queued = [queue for queue in world.of(QueueEvent) if queue.event["type"] == "platform.initStart"]
    assert [(queue.subscriber, "functionName" in str(queue.event["record"])) for queue in queued] == [("a", False)]


def test_a_late_subscriber_of_the_same_init_gets_what_came_before() -> None:
    world = World("a", "b")
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE")
    world.line("early", ext("a"))
    world.subscribe("a", "platform", timeout_ms=25)
    world.register("b", "INVOKE")
    world.subscribe("b", timeout_ms=25)
    world.advance(25)
    by_subscriber = {post.subscriber: [event["type"] for event in json.loads(post.body)] for post in world.posts()}
    assert by_subscriber == {
        "a": ["platform.initStart", "platform.telemetrySubscription", "platform.telemetrySubscription"],
        "b": ["platform.initStart", "extension", "platform.telemetrySubscription", "platform.telemetrySubscription"],
    }


def test_a_second_subscription_replaces_the_first() -> None:
    world = World("a")
    world.deliver_well = True
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE")
    world.line("early", ext("a"))
    world.subscribe("a", "platform", timeout_ms=25)
    world.subscribe("a", "platform", "extension", timeout_ms=50, version="2022-07-01")
    world.advance(1000)
    types = [event["type"] for event in delivered(world)]
    assert types.count("platform.initStart") == 1
    assert types.count("extension") == 1
    assert types.count("platform.telemetrySubscription") == 2


def test_the_window_is_open_until_the_last_extension_is_ready() -> None:
    world = World("a", "b")
    world.feed(facts.InitRequested())
    for name in ("a", "b"):
        world.register(name, "INVOKE")
    world.runtime_next()
    world.extension_next("a")
    assert world.subscribe("a").status == 200
    assert world.subscribe("b").status == 200
    world.extension_next("b")
    refused = world.subscribe("b")
    assert (refused.status, json.loads(refused.body)["errorType"]) == (403, "Telemetry.SubscriptionClosed")


def test_without_buffering_members_the_first_batch_leaves_after_a_second() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE")
    body = b'{"schemaVersion":"2022-12-13","types":["platform"],"destination":{"protocol":"HTTP","URI":"http://sandbox:80"}}'
    world.reply("PUT", telemetry_api.PATH, {extensions_api.IDENTIFIER: world.identifiers["a"]}, body)
    world.advance(999)
    assert not world.posts()
    world.advance(1)
    assert len(world.posts()) == 1


def test_internal_extensions_subscribe_too() -> None:
    world = World()
    world.feed(facts.InitRequested())
    world.register("inner", "INVOKE")
    assert world.subscribe("inner", timeout_ms=25).status == 200
    world.advance(25)
    assert world.posts("inner")


def test_nothing_is_delivered_while_frozen_and_timers_stand_still() -> None:
    world = World("a")
    world.cold_start(subscribe=("a",))
    assert world.frozen
    assert world.timers == {}
    world.line("late line", ext("a"))
    world.advance(3_600_000)
    assert not world.posts()
    world.invoke()
    assert world.timers["telemetry-flush:a"] - world.now_ns == 1_000_000_000


def test_the_timers_of_a_request_in_flight_stand_still_too() -> None:
    world = subscribed(
        "platform", "function", timeout_ms=25, policy=Policy(telemetry_attempt_timeout_ms=700, freeze_after_ms=0)
    )
    world.advance(30)
    [post] = world.posts()
    world.finish("10000000-0000-4000-8000-000000000001")
    assert world.frozen
    world.advance(60_000)
    assert not world.of(AbandonTelemetry)
    world.invoke()
    assert world.timers["telemetry-attempt:a"] - world.now_ns == 695_000_000
    world.feed(facts.TelemetryAnswered(post.delivery, 200))
    assert world.of(ConfirmDelivery)


def test_an_answer_that_comes_while_frozen_is_taken_but_starts_nothing() -> None:
    world = subscribed("platform", timeout_ms=25)
    world.advance(30)
    world.finish("10000000-0000-4000-8000-000000000001")
    assert world.frozen
    answer(world)
    assert len(world.of(ConfirmDelivery)) == 1
    assert len(world.posts()) == 1
    world.invoke()
    world.advance(25)
    assert len(world.posts()) == 2


def test_event_ids_are_unique_and_posts_name_published_ones() -> None:
    world = subscribed(timeout_ms=25)
    world.line("x")
    world.advance(25)
    published = [effect.event_id for effect in world.of(PublishEvent)]
    assert len(set(published)) == len(published)
    assert set(world.posts()[0].event_ids) <= set(published)


def test_a_subscriber_whose_process_ended_is_forgotten() -> None:
    world = subscribed("platform", timeout_ms=25)
    world.advance(25)
    delivery = world.posts()[0].delivery
    world.exit(ext("a"), 1)
    assert world.of(AbandonTelemetry)[0].delivery == delivery


def test_an_internal_subscriber_ends_with_the_runtime() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.register("a", "SHUTDOWN")
    pending = world.extension_next("a")
    world.register("inner", "INVOKE")
    world.subscribe("inner")
    world.extension_next("inner")
    world.runtime_next()
    world.shut_down()
    assert world.posts("inner")
    world.exit("runtime", None, "SIGTERM")
    assert world.of(AbandonTelemetry)
    assert world.event(pending)["eventType"] == "SHUTDOWN"
