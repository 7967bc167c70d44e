"""Telemetry: buffering, order, one request in flight, retries, drops, freeze, schema versions, log formats."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from support.machine_world import World, ext
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import (
    AbandonTelemetry,
    ConfirmDelivery,
    PostTelemetry,
    PublishEvent,
    QueueEvent,
    WriteLog,
)
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import extensions_api, telemetry_api


def subscribed(*types: str, policy: Policy | None = None, log_format: str = "Text", **settings: Any) -> World:
    """One extension, subscribed, in the middle of an invocation."""
    world = World("a", policy=policy, log_format=log_format)
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE", "SHUTDOWN")
    assert world.subscribe("a", *types, **settings).status == 200
    world.extension_next("a")
    world.runtime_next()
    world.invoke()
    return world


def delivered(world: World) -> list[dict[str, Any]]:
    return [event for post in world.posts() for event in json.loads(post.body)]


def answer(world: World, status: int = 200, error: str = "") -> None:
    world.feed(facts.TelemetryAnswered(world.posts()[-1].delivery, status, error))


def answer_all(world: World) -> None:
    """Accept every batch, those that follow included."""
    answered = 0
    while len(world.posts()) > answered:
        answered = len(world.posts())
        answer(world)
        world.advance(1000)


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


def test_several_lines_of_one_read_are_as_many_events() -> None:
    world = subscribed("function", timeout_ms=25)
    world.feed(facts.LinesWritten("runtime", 1, ("one", "", "two")))
    world.advance(25)
    assert [event["record"] for event in delivered(world)] == ["one", "", "two"]


def test_internal_extensions_subscribe_too() -> None:
    world = World()
    world.feed(facts.InitRequested())
    world.register("inner", "INVOKE")
    assert world.subscribe("inner", timeout_ms=25).status == 200
    world.advance(25)
    assert world.posts("inner")


def test_a_failed_post_is_tried_again_after_growing_pauses_then_dropped_and_told() -> None:
    world = subscribed("platform", "function", timeout_ms=1000)
    world.line("lost")
    world.advance(1000)
    times = [world.now_ns]
    first = world.posts()[0]
    n_events = len(first.event_ids)
    for _ in range(3):
        answer(world, 500)
        before = len(world.posts())
        world.fire("telemetry-retry:a")
        assert len(world.posts()) == before + 1
        times.append(world.now_ns)
    assert [(later - earlier) // 1_000_000 for earlier, later in itertools.pairwise(times)] == [100, 200, 400]
    assert {post.body for post in world.posts()} == {first.body}
    assert len({post.delivery for post in world.posts()}) == 4
    answer(world, 500)
    record = world.record("platform.logsDropped")
    assert record["droppedRecords"] == n_events
    assert record["droppedBytes"] == len(first.body) - 2 - (n_events - 1)
    assert record["reason"] == "could not send events: status 500"
    world.fire("telemetry-flush:a")
    answer(world)
    assert delivered(world)[-1]["record"] == record


def test_a_dead_listener_does_not_make_drops_of_drops() -> None:
    world = World("a", timeout_s=900)
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE")
    world.subscribe("a", timeout_ms=25)
    world.extension_next("a")
    world.runtime_next()
    world.invoke()
    for _ in range(200):
        world.advance(50)
        for post in world.of(PostTelemetry, world.last):
            world.feed(facts.TelemetryAnswered(post.delivery, 0, "connection refused"))
    assert world.types().count("platform.logsDropped") == 1


def test_counts_of_a_lost_count_are_told_again_in_full() -> None:
    world = subscribed("platform", "function", timeout_ms=25, policy=Policy(telemetry_retry_delays_ms=()))
    world.advance(25)
    lost = len(world.posts()[0].event_ids)
    answer(world, 500)
    world.advance(25)
    answer(world, 500)
    assert world.types().count("platform.logsDropped") == 1
    world.line("fresh")
    world.advance(25)
    answer(world, 200)
    record = world.record("platform.logsDropped")
    assert world.types().count("platform.logsDropped") == 2
    assert record["droppedRecords"] == lost


def test_an_attempt_that_is_not_answered_is_abandoned_and_tried_again() -> None:
    world = subscribed("function", timeout_ms=25, policy=Policy(telemetry_attempt_timeout_ms=700, freeze_after_ms=0))
    world.line("one")
    world.advance(25)
    first = world.posts()[0]
    world.fire("telemetry-attempt:a")
    assert world.of(AbandonTelemetry)[0].delivery == first.delivery
    world.feed(facts.TelemetryAnswered(first.delivery, 200))
    assert not world.of(ConfirmDelivery)
    world.fire("telemetry-retry:a")
    answer(world)
    assert len(world.of(ConfirmDelivery)) == 1


def test_memory_for_a_slow_subscriber_is_bounded_and_the_loss_is_counted() -> None:
    world = subscribed("platform", "function", timeout_ms=1000, policy=Policy(telemetry_max_buffered_bytes=400_000))
    world.advance(1000)
    for _ in range(10):
        world.line("x" * 100_000)
    answer(world)
    record = world.record("platform.logsDropped")
    assert record["droppedRecords"] == 7
    assert sum(event["type"] == "function" for event in json.loads(world.posts()[-1].body)) == 3
    assert record["reason"].startswith("Some logs were dropped because the downstream consumer is slower")


def test_lines_never_take_the_memory_that_platform_events_need() -> None:
    world = subscribed("platform", "function", timeout_ms=1000, policy=Policy(telemetry_max_buffered_bytes=400_000))
    world.advance(1000)
    for _ in range(5000):
        world.line("x" * 40)
    world.respond(f"10000000-0000-4000-8000-{1:012x}")
    world.runtime_next()
    answer_all(world)
    assert "platform.runtimeDone" in [event["type"] for event in delivered(world)]


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


def test_types_not_asked_for_are_published_but_not_sent() -> None:
    world = subscribed("extension", timeout_ms=25)
    world.line("function's")
    world.line("extension's", ext("a"))
    world.advance(25)
    assert [event["record"] for event in delivered(world)] == ["extension's"]
    assert "function" in world.types()


JSON_LINE = '{"level": "INFO", "n": 1.50, "n": 2}'


@pytest.mark.parametrize(
    ("log_format", "version", "line", "expected"),
    [
        ("Text", "2025-01-29", JSON_LINE, JSON_LINE),
        ("JSON", "2022-07-01", JSON_LINE, JSON_LINE),
        ("JSON", "2022-12-13", JSON_LINE, {"level": "INFO", "n": 2}),
        ("JSON", "2022-12-13", "plain", "wrapped"),
        ("JSON", "2022-07-01", "plain", "plain"),
        ("JSON", "2025-01-29", "[1]", "wrapped"),
        ("JSON", "2025-01-29", '{"n": NaN}', "wrapped"),
        ("JSON", "2025-01-29", "{" * 5000, "wrapped"),
        ("JSON", "2025-01-29", "", "wrapped"),
        ("Text", "2022-07-01", "", ""),
    ],
)
def test_lines_under_each_log_format_and_schema(log_format: str, version: str, line: str, expected: object) -> None:
    world = subscribed("function", timeout_ms=25, version=version, log_format=log_format)
    world.line(line)
    world.advance(25)
    [event] = delivered(world)
    if expected == "wrapped":
        expected = {
            "timestamp": event["time"],
            "level": "INFO",
            "message": line,
            "requestId": "10000000-0000-4000-8000-000000000001",
        }
    assert event["record"] == expected
    assert world.log()[-1] == line


def test_a_json_line_is_embedded_as_it_is() -> None:
    world = subscribed("function", timeout_ms=25, log_format="JSON")
    world.line(JSON_LINE)
    world.advance(25)
    assert JSON_LINE.encode() in world.posts()[0].body


def test_undecodable_text_is_sent_as_valid_json() -> None:
    world = subscribed("function", timeout_ms=25)
    world.line("é \udc80 \u2028")
    world.advance(25)
    assert delivered(world)[0]["record"] == "é \udc80 \u2028"


def test_each_schema_has_its_own_init_start() -> None:
    for version, has_name in (("2022-07-01", False), ("2022-12-13", True)):
        world = World("a")
        world.feed(facts.InitRequested())
        world.register("a")
        world.subscribe("a", "platform", version=version, timeout_ms=25)
        world.advance(25)
        record = delivered(world)[0]["record"]
        assert ("functionName" in record) is has_name
        assert record["runtimeVersion"] == "python:3.13"


def test_a_json_log_stream_shows_events_by_system_level() -> None:
    world = World(log_format="JSON")
    world.cold_start()
    world.invoke()
    world.finish("10000000-0000-4000-8000-000000000001")
    assert [json.loads(line)["type"] for line in world.log()] == [
        "platform.initStart",
        "platform.start",
        "platform.report",
    ]
    world.invoke()
    world.exit("runtime", 1)
    assert [json.loads(line)["type"] for line in world.log()[3:]] == [
        "platform.start",
        "platform.runtimeDone",
        "platform.report",
    ]
    verbose = World(log_format="JSON", policy=Policy(system_log_level="DEBUG"))
    verbose.cold_start()
    assert "platform.initRuntimeDone" in [json.loads(line)["type"] for line in verbose.log()]


def test_lines_belong_to_the_invocation_under_way() -> None:
    world = World()
    world.feed(facts.InitRequested())
    world.line("import")
    world.runtime_next()
    request_id = world.run_invocation()
    world.line("late")
    world.invoke()
    world.line("second")
    ids = {effect.text: effect.request_id for effect in world.of(WriteLog) if effect.source == "function"}
    assert ids == {"import": None, "late": None, "second": "10000000-0000-4000-8000-000000000002"}
    by_id = [effect.text.split()[0] for effect in world.of(WriteLog) if effect.request_id == request_id]
    assert by_id == ["START", "END", "REPORT"]


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
