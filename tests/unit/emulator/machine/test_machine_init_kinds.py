"""How an environment came to be, and what its first invocation is told and billed for."""

from __future__ import annotations

import pytest

from support.machine_world import World
from tailrace.emulator.machine import effects as fx
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.facts import RUNTIME
from tailrace.emulator.machine.policy import Policy


def cold_started(world: World, init_ms: float = 120.5) -> World:
    world.feed(facts.InitRequested())
    world.advance(init_ms)
    world.come_up()
    return world


def invoked(world: World, ms: float) -> World:
    request_id = world.invoke()
    world.advance(ms)
    world.finish(request_id)
    return world


def test_a_cold_report_bills_duration_and_init_and_a_warm_one_its_duration() -> None:
    world = invoked(cold_started(World("a")), 10.25)
    invoked(world, 10.25)
    cold, warm = world.reports()
    assert (cold.duration_ms, cold.init_duration_ms, cold.billed_duration_ms) == (10.25, 120.5, 131)
    assert (warm.duration_ms, warm.init_duration_ms, warm.billed_duration_ms) == (10.25, None, 11)
    lines = [line for line in world.log() if line.startswith("REPORT")]
    assert lines[0].endswith("\tInit Duration: 120.50 ms\t")
    assert "Init Duration" not in lines[1]


def test_an_init_long_before_the_first_request_is_in_its_report() -> None:
    world = cold_started(World("a"))
    assert world.frozen
    world.advance(3_600_000)
    invoked(world, 5)
    assert world.reports()[0].init_duration_ms == 120.5
    assert world.record("platform.report")["metrics"]["initDurationMs"] == 120.5


def test_a_suppressed_init_is_in_the_duration_and_billed_once() -> None:
    world = World()
    world.feed(facts.InitRequested())
    world.exit(RUNTIME, 1)
    request_id = world.invoke()
    world.advance(200)
    world.come_up()
    world.advance(50)
    world.finish(request_id)
    report = world.reports()[0]
    assert (report.duration_ms, report.billed_duration_ms, report.init_duration_ms) == (250.0, 250, None)
    assert "initDurationMs" not in world.record("platform.report")["metrics"]


def test_a_suppressed_init_may_be_billed_beside_the_duration() -> None:
    world = World(policy=Policy(bill_suppressed_init=True))
    world.feed(facts.InitRequested())
    world.exit(RUNTIME, 1)
    request_id = world.invoke()
    world.advance(200)
    world.come_up()
    world.advance(50)
    world.finish(request_id)
    invoked(world, 10)
    assert [report.billed_duration_ms for report in world.reports()] == [450, 10]


@pytest.mark.parametrize("asked_meanwhile", [True, False])
def test_an_early_init_may_be_left_out_of_the_first_report(asked_meanwhile: bool) -> None:
    world = World(policy=Policy(early_init_in_first_report=False))
    world.feed(facts.InitRequested())
    world.advance(120.5)
    if asked_meanwhile:
        request_id = world.invoke()
        world.come_up()
        world.finish(request_id)
    else:
        world.come_up()
        invoked(world, 0)
    assert world.reports()[0].init_duration_ms == (120.5 if asked_meanwhile else None)


def test_provisioned_init_is_told_by_itself_and_not_billed() -> None:
    world = cold_started(World("a", policy=Policy(initialization_type="provisioned-concurrency")))
    invoked(world, 10.25)
    for type_ in ("platform.initStart", "platform.initRuntimeDone", "platform.initReport"):
        assert world.record(type_)["initializationType"] == "provisioned-concurrency"
    assert "INIT_REPORT Init Duration: 120.50 ms" in world.log()
    report = world.reports()[0]
    assert (report.billed_duration_ms, report.init_duration_ms) == (11, None)
    for spawn in world.of(fx.SpawnProcess):
        assert spawn.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency"


@pytest.mark.parametrize(("timeout_s", "limit_s"), [(3, 130), (600, 600), (900, 900)])
def test_provisioned_init_has_minutes(timeout_s: float, limit_s: int) -> None:
    world = World(timeout_s=timeout_s, policy=Policy(initialization_type="provisioned-concurrency"))
    world.feed(facts.InitRequested())
    world.advance(limit_s * 1000 - 1)
    assert world.machine.phase == "init"
    world.advance(1)
    assert world.of(fx.ReportInit)[0].status == "timeout"
    assert f"after {limit_s}.00 seconds" in world.of(fx.ReportInit)[0].error_message


def test_a_line_of_the_init_belongs_to_no_request() -> None:
    world = World("a", log_format="JSON")
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE")
    world.line("WARNING preview")
    world.extension_next("a")
    world.runtime_next()
    invoked(world, 1)
    (event,) = [event for event in world.published() if event["type"] == "function"]
    assert event["record"]["message"] == "WARNING preview"
    assert "requestId" not in event["record"]
    (line,) = [effect for effect in world.of(fx.WriteLog) if effect.source == "function"]
    assert line.request_id is None


def test_a_cold_call_that_crashes_has_its_init_before_its_status_and_its_error_last() -> None:
    world = cold_started(World())
    world.feed(facts.MemoryMeasured(36 * 1_048_576))
    request_id = world.invoke()
    world.advance(3)
    world.exit(RUNTIME, 1)
    assert world.log()[-1] == (
        f"REPORT RequestId: {request_id}\tDuration: 3.00 ms\tBilled Duration: 124 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 36 MB\tInit Duration: 120.50 ms\tStatus: error\tError Type: Runtime.ExitError"
    )
    assert world.log()[-3:-1] == [f"START RequestId: {request_id} Version: $LATEST", f"END RequestId: {request_id}"]


def test_a_timeout_has_three_lines_and_is_cut_to_the_limit() -> None:
    world = cold_started(World(timeout_s=1.0))
    invoked(world, 1)
    before = len(world.log())
    request_id = world.invoke()
    world.now_ns += 1_001_182_000
    world.feed(facts.TimerFired("invoke-deadline"))
    assert [line.split(" ")[0] for line in world.log()[before:]] == ["START", "END", "REPORT"]
    assert world.log()[-1].startswith(
        f"REPORT RequestId: {request_id}\tDuration: 1000.00 ms\tBilled Duration: 1000 ms\t"
    )
    assert world.log()[-1].endswith("\tStatus: timeout")
    done, report = world.record("platform.runtimeDone"), world.record("platform.report")
    assert done["metrics"] == {"durationMs": 1001.182, "producedBytes": 0}
    assert done["status"] == report["status"] == "timeout"
    assert not {"spans", "errorType"} & set(done)
    assert (report["metrics"]["durationMs"], report["metrics"]["billedDurationMs"]) == (1000.0, 1000)
    assert list(report)[-1] == "status"
