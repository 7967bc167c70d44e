"""Init: order, limits, failures, and the retry inside the next invocation."""

from __future__ import annotations

import json

import pytest

from support.machine_world import MS, World, ext
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import Freeze, ReportInit, Thaw
from tailrace.emulator.machine.facts import RUNTIME
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import runtime_api


def test_the_runtime_starts_only_after_every_external_extension_registered() -> None:
    world = World("a", "b")
    world.feed(facts.InitRequested())
    assert world.spawned() == [ext("a"), ext("b")]
    world.register("a", "INVOKE")
    world.extension_next("a")
    assert RUNTIME not in world.spawned()
    world.register("b", "SHUTDOWN")
    assert world.spawned() == [ext("a"), ext("b"), RUNTIME]


def test_without_extensions_the_runtime_starts_at_once() -> None:
    world = World()
    world.feed(facts.InitRequested())
    assert world.spawned() == [RUNTIME]


def test_init_ends_only_when_a_shutdown_only_extension_called_next_too() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.register("a", "SHUTDOWN")
    world.runtime_next()
    assert not world.of(ReportInit)
    world.advance(120)
    world.extension_next("a")
    [report] = world.of(ReportInit)
    assert (report.phase, report.status, report.duration_ms) == ("init", "success", 120.0)
    assert report.ready_ms == {RUNTIME: 0.0, ext("a"): 120.0}


def test_a_cold_start_tells_its_story_in_order() -> None:
    world = World("a", "b")
    world.feed(facts.InitRequested())
    for name in ("a", "b"):
        world.register(name, "INVOKE", "SHUTDOWN")
        world.subscribe(name)
        world.extension_next(name)
    world.runtime_next()
    request_id = world.invoke()
    world.line("hello")
    world.finish(request_id)
    assert world.types() == [
        "platform.initStart",
        "platform.telemetrySubscription",
        "platform.telemetrySubscription",
        "platform.initRuntimeDone",
        "platform.extension",
        "platform.extension",
        "platform.initReport",
        "platform.start",
        "function",
        "platform.runtimeDone",
        "platform.report",
    ]


def test_an_environment_nobody_waits_for_is_frozen_after_init_and_thawed_by_an_invocation() -> None:
    world = World()
    world.cold_start()
    assert isinstance(world.last[-1], Freeze)
    world.invoke()
    assert isinstance(world.last[0], Thaw)


def test_an_invocation_that_waits_for_init_is_run_without_a_freeze_between() -> None:
    world = World()
    request_id = world.invoke()
    world.runtime_next()
    assert not world.of(Freeze)
    assert world.respond(request_id) == 202


def test_without_freeze_nothing_is_frozen() -> None:
    world = World(freeze=False)
    world.cold_start()
    world.run_invocation()
    assert not world.of(Freeze)
    assert not world.of(Thaw)


def test_init_that_takes_longer_than_ten_seconds_fails_and_is_hidden() -> None:
    world = World()
    request_id = world.invoke()
    world.fire("init-deadline")
    assert world.now_ns % (10_000 * MS) == 0
    [report] = world.of(ReportInit)
    assert (report.phase, report.status) == ("init", "timeout")
    assert world.log()[-1] == "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout"
    assert world.answers() == []
    assert world.signals() == [(RUNTIME, "SIGKILL")]
    world.exit(RUNTIME, None, "SIGKILL")
    assert world.spawned() == [RUNTIME, RUNTIME]
    assert world.record("platform.initStart")["phase"] == "invoke"
    world.runtime_next()
    world.finish(request_id)
    assert world.answers()[0].function_error == ""
    [final] = world.reports()
    assert final.init_duration_ms is None


def test_a_failed_init_is_repeated_once_more_and_then_its_error_goes_to_the_invoker() -> None:
    world = World()
    request_id = world.invoke()
    document = b'{"errorMessage":"cannot import","errorType":"Runtime.ImportModuleError"}'
    headers = {runtime_api.ERROR_TYPE: "Runtime.ImportModuleError"}
    for _ in range(2):
        assert world.answers() == []
        world.http("POST", runtime_api.INIT_ERROR, headers, document)
        world.exit(RUNTIME, 1)
    [answer] = world.answers()
    assert (answer.request_id, answer.payload, answer.function_error) == (request_id, document, "Unhandled")
    assert [report.phase for report in world.of(ReportInit)] == ["init", "invoke"]
    assert [report.error_message for report in world.of(ReportInit)] == ["cannot import"] * 2
    assert world.types()[-9:] == [
        "platform.initStart",
        "platform.initRuntimeDone",
        "platform.initReport",
        "platform.initStart",
        "platform.initRuntimeDone",
        "platform.initReport",
        "platform.start",
        "platform.runtimeDone",
        "platform.report",
    ]
    assert world.reports()[0].error_type == "Runtime.ImportModuleError"
    assert "Status: error\tError Type: Runtime.ImportModuleError" in world.log()[-1]


def test_the_repeated_init_is_limited_by_the_function_timeout() -> None:
    world = World(timeout_s=2)
    world.invoke()
    world.exit(RUNTIME, 1)
    world.fire("invoke-deadline")
    [answer] = world.answers()
    assert json.loads(answer.payload)["errorType"] == "Sandbox.Timedout"
    assert [report.status for report in world.of(ReportInit)] == ["error", "timeout"]
    [final] = world.reports()
    assert (final.status, final.duration_ms, final.billed_duration_ms) == ("timeout", 2000.0, 2000)


def test_an_extension_that_crashes_before_the_runtime_started_leaves_no_runtime_done() -> None:
    world = World("a", "b")
    world.feed(facts.InitRequested())
    world.register("b", "INVOKE")
    world.exit(ext("a"), 1)
    assert world.types() == [
        "platform.initStart",
        "platform.extension",
        "platform.extension",
        "platform.initReport",
    ]
    [report] = world.of(ReportInit)
    assert (report.error_type, report.error_message) == ("Extension.Crash", "exit status 1")
    assert "INIT_REPORT Init Duration: 0.00 ms\tPhase: init\tStatus: error\tError Type: Extension.Crash" in world.log()


def test_an_extension_that_cannot_be_started_is_a_launch_error() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.feed(facts.ProcessNotSpawned(ext("a"), 1, "EACCES"))
    assert world.record("platform.extension") == {
        "name": "a",
        "state": "LaunchError",
        "events": [],
        "errorType": "PermissionDenied",
    }
    assert world.of(ReportInit)[0].error_type == "Extension.LaunchError"
    assert world.machine.phase == "cold"


def test_a_runtime_that_cannot_be_started_is_an_invalid_entrypoint() -> None:
    world = World()
    world.feed(facts.InitRequested())
    world.feed(facts.ProcessNotSpawned(RUNTIME, 1, "ENOENT"))
    assert world.of(ReportInit)[0].error_type == "Runtime.InvalidEntrypoint"


def test_eleven_extension_files_are_one_too_many() -> None:
    names = [f"x{number:02}" for number in range(11)]
    world = World(*names)
    world.feed(facts.InitRequested())
    assert world.spawned() == []
    assert world.of(ReportInit)[0].error_type == "Extension.LaunchError"
    states = [event["record"] for event in world.published() if event["type"] == "platform.extension"]
    assert [state.get("errorType") for state in states] == [None] * 10 + ["TooManyExtensions"]


def test_the_eleventh_registration_is_refused() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.register("a")
    for number in range(9):
        assert world.register(f"inner-{number}", "INVOKE").status == 200
    refused = world.register("inner-9", "INVOKE")
    assert (refused.status, json.loads(refused.body)["errorType"]) == (403, "Extension.TooManyExtensions")


def test_init_error_of_an_extension_fails_init_at_once() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.register("a")
    headers = {
        "Lambda-Extension-Identifier": world.identifiers["a"],
        "Lambda-Extension-Function-Error-Type": "Extension.NoKey",
    }
    world.http("POST", "/2020-01-01/extension/init/error", headers, b'{"errorMessage":"no key"}')
    [report] = world.of(ReportInit)
    assert report.error_type == "Extension.InitError"
    assert report.error_message == "a reported Extension.NoKey: no key"
    assert world.record("platform.extension")["state"] == "InitError"


def test_init_error_of_an_extension_may_wait_for_its_exit() -> None:
    world = World("a", policy=Policy(extension_error_ends_phase=False))
    world.feed(facts.InitRequested())
    world.register("a")
    headers = {
        "Lambda-Extension-Identifier": world.identifiers["a"],
        "Lambda-Extension-Function-Error-Type": "Extension.NoKey",
    }
    world.http("POST", "/2020-01-01/extension/init/error", headers)
    assert not world.of(ReportInit)
    world.exit(ext("a"), 1)
    assert world.of(ReportInit)[0].error_type == "Extension.InitError"


def test_internal_extensions_register_until_the_runtime_is_ready_and_hold_up_init() -> None:
    world = World()
    world.feed(facts.InitRequested())
    assert world.register("inner", "INVOKE").status == 200
    world.runtime_next()
    assert not world.of(ReportInit)
    assert world.register("late", "INVOKE").status == 403
    world.extension_next("inner")
    assert world.of(ReportInit)[0].status == "success"


def test_the_subscription_window_closes_when_the_last_extension_is_ready() -> None:
    world = World("a", "b")
    world.feed(facts.InitRequested())
    world.register("a")
    world.register("b")
    world.runtime_next()
    world.extension_next("a")
    assert world.subscribe("a").status == 200
    assert world.subscribe("b").status == 200
    world.extension_next("b")
    late = world.subscribe("a")
    assert (late.status, json.loads(late.body)["errorType"]) == (403, "Telemetry.SubscriptionClosed")


def test_init_is_requested_once_only() -> None:
    world = World()
    world.feed(facts.InitRequested())
    world.feed(facts.InitRequested())
    world.runtime_next()
    world.feed(facts.InitRequested())
    assert world.spawned() == [RUNTIME]


def test_late_news_of_an_old_process_does_no_harm() -> None:
    world = World()
    world.invoke()
    world.exit(RUNTIME, 1)
    world.feed(facts.ProcessExited(RUNTIME, 1, 1, None))
    assert world.machine.phase == "invoke"
    assert world.answers() == []


@pytest.mark.parametrize(
    ("name", "worded"),
    [
        ("python3.13", "python:3.13"),
        ("nodejs24.x", "nodejs:24.x"),
        ("provided.al2023", "provided:al2023"),
        ("odd", "odd"),
    ],
)
def test_the_runtimes_version_is_worded_as_init_start_does(name: str, worded: str) -> None:
    world = World(runtime_name=name)
    world.feed(facts.InitRequested())
    assert world.record("platform.initStart")["runtimeVersion"] == worded
    assert world.log()[0].startswith(f"INIT_START Runtime Version: {worded}\tRuntime Version ARN: arn:")
