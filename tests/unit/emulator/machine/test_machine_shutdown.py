"""Reset and shutdown: who is told what, in which order, within which budget."""

from __future__ import annotations

import json

from support.machine_world import World, ext
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import (
    EndEnvironment,
    Freeze,
    PostTelemetry,
    Respond,
    SignalProcess,
    SpawnProcess,
    Thaw,
)
from tailrace.emulator.machine.facts import RUNTIME


def waiting_world(*names: str, events: tuple[str, ...] = ("INVOKE", "SHUTDOWN")) -> tuple[World, dict[str, int]]:
    """Every extension idle in `next`; the exchange of each."""
    world = World(*names)
    world.feed(facts.InitRequested())
    pending = {}
    for name in names:
        world.register(name, *events)
        pending[name] = world.extension_next(name)
    world.runtime_next()
    return world, pending


def test_without_extensions_the_runtime_is_killed_at_once() -> None:
    world = World()
    world.cold_start()
    world.shut_down()
    assert isinstance(world.last[0], Thaw)
    assert world.signals() == [(RUNTIME, "SIGKILL")]
    world.exit(RUNTIME, None, "SIGKILL")
    assert world.last[-1] == EndEnvironment("spindown")


def test_with_an_extension_the_runtime_is_told_first_then_the_extension() -> None:
    world, pending = waiting_world("a")
    world.shut_down()
    assert world.signals() == [(RUNTIME, "SIGTERM")]
    assert pending["a"] not in world.responses
    world.advance(100)
    world.exit(RUNTIME, None, "SIGTERM")
    event = world.event(pending["a"])
    assert event == {
        "eventType": "SHUTDOWN",
        "deadlineMs": world.now_ns // 1_000_000 - 100 + 2000,
        "shutdownReason": "spindown",
    }
    world.exit(ext("a"))
    assert world.last[-1] == EndEnvironment("spindown")
    assert world.timers == {}


def test_a_runtime_that_ignores_sigterm_is_killed_after_its_share() -> None:
    world, pending = waiting_world("a")
    began = world.now_ns
    world.shut_down()
    world.fire("shutdown-runtime")
    assert world.now_ns - began == 600_000_000
    assert world.signals() == [(RUNTIME, "SIGTERM"), (RUNTIME, "SIGKILL")]
    assert world.event(pending["a"])["eventType"] == "SHUTDOWN"


def test_an_extension_that_ignores_shutdown_is_killed_at_the_deadline() -> None:
    world, _ = waiting_world("a")
    world.shut_down()
    world.exit(RUNTIME, None, "SIGTERM")
    world.advance(1999)
    assert (ext("a"), "SIGKILL") not in world.signals()
    world.advance(1)
    assert world.signals()[-1] == (ext("a"), "SIGKILL")
    world.exit(ext("a"), None, "SIGKILL")
    assert isinstance(world.last[-1], EndEnvironment)


def test_an_extension_that_did_not_ask_for_shutdown_is_killed_at_once() -> None:
    world, pending = waiting_world("a", events=("INVOKE",))
    world.shut_down()
    world.exit(RUNTIME, None, "SIGTERM")
    assert world.signals()[-1] == (ext("a"), "SIGKILL")
    assert pending["a"] not in world.responses


def test_next_after_shutdown_is_not_answered() -> None:
    world, _ = waiting_world("a")
    world.shut_down()
    world.exit(RUNTIME, None, "SIGTERM")
    again = world.extension_next("a")
    assert again not in world.responses


def test_an_extension_that_is_busy_gets_shutdown_when_it_calls_next() -> None:
    world, _ = waiting_world("a")
    world.invoke()
    world.fire("invoke-deadline")
    world.exit(RUNTIME, None, "SIGTERM")
    event = world.event(world.extension_next("a"))
    assert (event["eventType"], event["shutdownReason"]) == ("SHUTDOWN", "timeout")


def test_internal_extensions_give_the_runtime_half_a_second() -> None:
    world = World()
    world.feed(facts.InitRequested())
    world.register("inner", "INVOKE")
    world.extension_next("inner")
    world.runtime_next()
    began = world.now_ns
    world.shut_down()
    assert world.signals() == [(RUNTIME, "SIGTERM")]
    world.fire("shutdown-deadline")
    assert world.now_ns - began == 500_000_000
    assert world.signals()[-1] == (RUNTIME, "SIGKILL")


def test_after_a_crash_the_reason_is_failure_and_everything_begins_anew() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE", "SHUTDOWN")
    world.subscribe("a")
    pending = world.extension_next("a")
    world.runtime_next()
    old = world.identifiers["a"]
    world.invoke()
    assert world.event(pending)["eventType"] == "INVOKE"
    world.exit(RUNTIME, 1)
    world.fire("shutdown-drain")
    shutdown = world.event(world.extension_next("a"))
    assert shutdown["shutdownReason"] == "failure"
    world.exit(ext("a"))
    assert world.machine.phase == "cold"
    request_id = world.invoke()
    assert world.record("platform.initStart")["phase"] == "invoke"
    assert [spawn.generation for spawn in world.of(SpawnProcess)] == [1, 1, 2]
    stale = world.extension_next("a")
    assert json.loads(world.responses[stale].body)["errorType"] == "Extension.UnknownExtensionIdentifier"
    world.come_up()
    assert world.identifiers["a"] != old
    world.finish(request_id)
    assert world.answers()[-1].function_error == ""


def test_an_invocation_offered_during_a_reset_waits_for_it() -> None:
    world, _ = waiting_world("a")
    world.invoke()
    world.exit(RUNTIME, 1)
    second = world.invoke()
    assert len(world.answers()) == 1
    world.exit(ext("a"))
    world.come_up()
    world.finish(second)
    assert world.answers()[-1].request_id == second


def test_what_is_buffered_is_delivered_before_shutdown_is_told() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE", "SHUTDOWN")
    world.subscribe("a")
    pending = world.extension_next("a")
    world.runtime_next()
    world.shut_down()
    [post] = world.of(PostTelemetry)
    world.line("last words")
    world.exit(RUNTIME, None, "SIGTERM")
    assert pending not in world.responses
    world.feed(facts.TelemetryAnswered(post.delivery, 200))
    second = world.of(PostTelemetry)[-1]
    assert b"last words" in second.body
    world.feed(facts.TelemetryAnswered(second.delivery, 200))
    assert world.event(pending)["eventType"] == "SHUTDOWN"


def test_a_deaf_subscriber_delays_shutdown_by_a_second_at_most() -> None:
    world = World("a")
    world.cold_start(subscribe=("a",))
    began = world.now_ns
    world.shut_down()
    world.exit(RUNTIME, None, "SIGTERM")
    world.effects.clear()
    world.fire("shutdown-drain")
    assert world.now_ns - began == 1_000_000_000
    assert len(world.of(Respond)) == 1


def test_lines_written_during_shutdown_are_logged_and_published() -> None:
    world, _ = waiting_world("a")
    world.shut_down()
    world.exit(RUNTIME, None, "SIGTERM")
    world.line("ledger", ext("a"))
    assert world.log()[-1] == "ledger"
    assert world.types()[-1] == "extension"


def test_shutdown_before_anything_ends_at_once() -> None:
    world = World()
    assert world.shut_down() == [EndEnvironment("spindown")]


def test_shutdown_during_init_ends_init_and_the_environment() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.shut_down()
    assert world.record("platform.initReport")["status"] == "failure"
    world.exit(ext("a"), None, "SIGKILL")
    assert world.last[-1] == EndEnvironment("spindown")


def test_shutdown_during_an_invocation_answers_its_invoker() -> None:
    world, _ = waiting_world()
    running, waiting = world.invoke(), world.invoke()
    world.shut_down()
    world.exit(RUNTIME, None, "SIGKILL")
    assert [answer.request_id for answer in world.answers()] == [running, waiting]
    assert {json.loads(answer.payload)["errorType"] for answer in world.answers()} == {"Sandbox.Failure"}
    assert [report.request_id for report in world.reports()] == [running, waiting]


def test_shutdown_during_a_reset_ends_the_environment_after_it() -> None:
    world, _ = waiting_world("a")
    world.invoke()
    world.exit(RUNTIME, 1)
    world.shut_down()
    world.exit(ext("a"))
    assert world.last[-1] == EndEnvironment("spindown")


def test_after_the_end_invocations_are_turned_away_and_nothing_else_happens() -> None:
    world = World()
    world.shut_down()
    request_id = world.invoke()
    assert world.answers()[0].request_id == request_id
    assert world.feed(facts.InitRequested()) == []
    assert world.feed(facts.ShutdownRequested()) == []


def test_a_frozen_environment_is_thawed_before_anything_is_sent() -> None:
    world = World("a")
    world.cold_start(subscribe=("a",))
    assert isinstance(world.last[-1], Freeze)
    world.shut_down()
    kinds = [type(effect) for effect in world.last]
    assert kinds[0] is Thaw
    assert PostTelemetry in kinds
    assert SignalProcess in kinds
