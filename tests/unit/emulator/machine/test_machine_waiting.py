"""Who waits for whom, and how long: blocked `next` calls, and internal extensions beside external ones."""

from __future__ import annotations

import json

from support.machine_world import World
from tailrace.emulator.machine import effects as fx
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.facts import RUNTIME
from tailrace.protocol import extensions_api, runtime_api

AN_HOUR_MS = 3_600_000


def test_next_is_not_answered_however_long_nothing_happens() -> None:
    world = World("a", freeze=False)
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE", "SHUTDOWN")
    of_extension = world.extension_next("a")
    of_runtime = world.runtime_next()
    world.advance(24 * AN_HOUR_MS)
    assert not {of_extension, of_runtime} & set(world.responses)
    world.invoke()
    assert {of_extension, of_runtime} <= set(world.responses)


def test_an_extension_gets_invoke_only_when_the_runtime_is_ready_too() -> None:
    world = World("a", "b")
    world.invoke()
    for name in ("a", "b"):
        world.register(name, "INVOKE")
    waiting = world.extension_next("a")
    world.runtime_next()
    assert waiting not in world.responses
    world.extension_next("b")
    assert world.event(waiting)["eventType"] == "INVOKE"


def test_without_a_trace_header_there_is_no_tracing() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE")
    waiting = world.extension_next("a")
    world.runtime_next()
    request_id = world.invoke()
    assert "tracing" not in world.event(waiting)
    assert runtime_api.TRACE_ID not in str(world.responses)
    world.finish(request_id)
    for type_ in ("platform.start", "platform.runtimeDone", "platform.report"):
        assert "tracing" not in world.record(type_)
    assert not any(line.startswith("XRAY") for line in world.log())


def test_an_internal_extension_gets_invoke_and_is_waited_for_like_any_other() -> None:
    world = World()
    world.feed(facts.InitRequested())
    assert world.register("inner", "INVOKE").status == 200
    waiting = world.extension_next("inner")
    world.runtime_next()
    request_id = world.invoke()
    assert world.event(waiting)["requestId"] == request_id
    world.respond(request_id)
    assert len(world.answers()) == 1
    world.runtime_next()
    assert world.reports() == []
    world.advance(40)
    world.extension_next("inner")
    assert world.reports()[0].duration_ms == 40.0


def test_external_and_internal_extensions_are_ten_together() -> None:
    names = [f"ext-{n}" for n in range(9)]
    world = World(*names)
    world.feed(facts.InitRequested())
    for name in names:
        assert world.register(name, "INVOKE").status == 200
    assert world.register("inner-1", "INVOKE").status == 200
    refused = world.register("inner-2", "INVOKE")
    assert refused.status == 403
    assert json.loads(refused.body) == {
        "errorMessage": "Extension limit (10) reached",
        "errorType": "Extension.TooManyExtensions",
    }


def test_a_provisioned_environment_may_see_its_end_before_any_invocation() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE", "SHUTDOWN")
    waiting = world.extension_next("a")
    world.runtime_next()
    world.shut_down()
    world.exit(RUNTIME, None, "SIGTERM")
    assert world.event(waiting)["eventType"] == "SHUTDOWN"
    assert world.of(fx.CloseInvocation) == []
    assert extensions_api.EVENT_IDENTIFIER not in dict(world.responses[waiting].headers)
