"""Telemetry that a subscriber does not take: retries, drops that are told, bounded memory."""

from __future__ import annotations

import itertools
import json

from support.machine_telemetry import answer, answer_all, delivered, subscribed
from support.machine_world import World
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import AbandonTelemetry, ConfirmDelivery, PostTelemetry
from tailrace.emulator.machine.policy import Policy


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
