from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.emulator_async import run, until
from support.emulator_extensions import ShellExtension
from support.emulator_runs import environment, executable, invoke
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.machine.environment import Environment
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.processes import procfs

ONE_LINE = "def handler(event, context):\n    print('from the function')\n    return 1\n"


def types(events: Iterable[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def test_a_shell_extension_gets_every_event_of_a_cold_and_a_warm_invocation_in_order(tmp_path: Path) -> None:
    extension = ShellExtension(tmp_path / "ext")

    async def main() -> tuple[list[str], ExecutionEnvironment]:
        async with environment(tmp_path, ONE_LINE, extensions=[extension.path]) as (env, _):
            cold, warm = await invoke(env), await invoke(env)
            ids = [cold.answer.request_id, warm.answer.request_id]
            assert json.loads((extension.out / "registered").read_text()) == {
                "functionName": "shop",
                "functionVersion": "$LATEST",
                "handler": "app.handler",
            }
            assert (extension.out / "subscribed").read_text() == '"OK"'
        assert env.extension_exits == {"shell-ext": 0}
        return ids, env

    ids, env = run(main())
    assert [(event["eventType"], event.get("requestId")) for event in extension.events] == [
        ("INVOKE", ids[0]),
        ("INVOKE", ids[1]),
        ("SHUTDOWN", None),
    ]
    assert extension.events[0]["invokedFunctionArn"] == env.config.arn
    assert extension.events[2]["shutdownReason"] == "spindown"
    seen = extension.telemetry
    platform = [event for event in seen if event["type"].startswith("platform.")]
    invocation = ["platform.start", "platform.runtimeDone", "platform.report"]
    assert types(platform) == [
        "platform.initStart",
        "platform.telemetrySubscription",
        "platform.initRuntimeDone",
        "platform.extension",
        "platform.initReport",
        *invocation,
        *invocation,
    ]
    by_id = [(event["type"], event["record"]["requestId"]) for event in platform if "requestId" in event["record"]]
    assert by_id == [(kind, id_) for id_ in ids for kind in invocation]
    function_lines = [event["record"] for event in seen if event["type"] == "function"]
    assert [line.rstrip("\n") for line in function_lines] == ["from the function"] * 2
    assert {"type": "extension", "record": "shell extension is ready"} in [
        {"type": event["type"], "record": str(event["record"]).rstrip("\n")} for event in seen
    ]
    assert "initDurationMs" in platform[7]["record"]["metrics"]
    assert "initDurationMs" not in platform[10]["record"]["metrics"]
    entries = env.telemetry_log
    assert [entry.event for entry in entries if entry.subscriber == "shell-ext"] == seen
    assert all(entry.delivered_at for entry in entries if entry.subscriber)


def test_a_function_line_of_an_invocation_stands_between_its_start_and_its_end(tmp_path: Path) -> None:
    extension = ShellExtension(tmp_path / "ext")

    async def main() -> None:
        async with environment(tmp_path, ONE_LINE, extensions=[extension.path]) as (env, _):
            await invoke(env)
            await invoke(env)

    run(main())
    wanted = {"platform.start", "function", "platform.runtimeDone"}
    assert (
        types(event for event in extension.telemetry if event["type"] in wanted)
        == [
            "platform.start",
            "function",
            "platform.runtimeDone",
        ]
        * 2
    )


def test_a_thousand_quick_lines_reach_a_subscriber_of_the_same_invocation(tmp_path: Path) -> None:
    """The extension is busy for a while after the runtime is done, as one that flushes would be."""
    extension = ShellExtension(tmp_path / "ext", at_invoke="sleep 0.3")
    source = "def handler(event, context):\n    for n in range(1000): print('line', n)\n"

    async def main() -> None:
        async with environment(tmp_path, source, extensions=[extension.path], timeout_s=10) as (env, story):
            await invoke(env)
            assert story.events[-1][0] == "frozen"
            lines = [event["record"] for event in extension.telemetry if event["type"] == "function"]
            assert [line.rstrip("\n") for line in lines] == [f"line {n}" for n in range(1000)]

    run(main())


def test_a_timeout_tells_the_extension_why_and_starts_it_anew(tmp_path: Path) -> None:
    extension = ShellExtension(tmp_path / "ext")
    source = "import time\ndef handler(event, context):\n    while event.get('hang'): time.sleep(1)\n    return 'ok'\n"

    async def main() -> None:
        # the next invocation has to start all processes within this as well
        async with environment(tmp_path, source, extensions=[extension.path], timeout_s=3) as (env, _):
            result = await invoke(env, b'{"hang": true}')
            assert json.loads(result.answer.payload)["errorType"] == "Sandbox.Timedout"
            (extension.out / "port").unlink()
            assert (await invoke(env)).answer.payload == b'"ok"'

    run(main())
    reasons = [event.get("shutdownReason", event["eventType"]) for event in extension.events]
    assert reasons == ["INVOKE", "timeout", "INVOKE", "spindown"]


def test_a_crash_of_the_runtime_tells_the_extension_failure(tmp_path: Path) -> None:
    extension = ShellExtension(tmp_path / "ext")
    source = "import os\ndef handler(event, context): os._exit(3)\n"

    async def main() -> None:
        async with environment(tmp_path, source, extensions=[extension.path]) as (env, _):
            result = await invoke(env)
            assert json.loads(result.answer.payload)["errorType"] == "Runtime.ExitError"
            await until(lambda: "shell-ext" in env.extension_exits)

    run(main())
    assert [event.get("shutdownReason") for event in extension.events] == [None, "failure"]


def test_an_extension_that_ends_is_a_crash_even_with_exit_code_0(tmp_path: Path) -> None:
    extension = ShellExtension(tmp_path / "ext", at_invoke="exit 0")

    async def main() -> None:
        slow = "import time\ndef handler(event, context): time.sleep(30)\n"
        async with environment(tmp_path, slow, extensions=[extension.path], timeout_s=20) as (env, _):
            result = await invoke(env)
            document = json.loads(result.answer.payload)
            assert document["errorType"] == "Extension.Crash"
            assert "exit code 0" in document["errorMessage"]

    run(main())


def test_an_extension_that_ignores_shutdown_is_killed_with_its_children_after_the_budget(tmp_path: Path) -> None:
    extension = ShellExtension(tmp_path / "ext", at_shutdown="while true; do sleep 1; done;")
    pids: list[int] = []

    async def main() -> None:
        async with environment(tmp_path, ONE_LINE, extensions=[extension.path]) as (env, _):
            await invoke(env)
            pids.extend(procfs.descendants(os.getpid()))
        assert env.extension_exits == {"shell-ext": "SIGKILL"}

    run(main())
    assert len(pids) >= 3
    assert [pid for pid in pids if (stat := procfs.stat(pid)) and not stat.is_dead] == []


def test_an_extension_of_a_layer_runs_beside_one_given_by_its_path(tmp_path: Path) -> None:
    layered = ShellExtension(tmp_path / "layer" / "extensions", "a-layered")
    (layered.out).rename(tmp_path / "layered-out")
    layered.path.write_text(layered.path.read_text().replace(str(layered.out), str(tmp_path / "layered-out")))
    layered.out = tmp_path / "layered-out"
    single = ShellExtension(tmp_path / "ext", "b-single")

    async def main() -> None:
        options: dict[str, Any] = {"layers": [tmp_path / "layer"], "extensions": [single.path]}
        async with environment(tmp_path, ONE_LINE, isolation="process", **options) as (env, _):
            await invoke(env)
        assert env.extension_exits == {"a-layered": 0, "b-single": 0}

    run(main())
    assert "platform.report" in types(layered.telemetry)
    assert "platform.report" in types(single.telemetry)


def test_the_ledger_is_the_last_such_line_that_the_extension_printed(tmp_path: Path) -> None:
    say = """echo '{"type":"tailrace.ledger","file:///x":{"received":%d}}';"""
    extension = ShellExtension(tmp_path / "ext", at_invoke=say % 1, at_shutdown=say % 2)

    async def main() -> None:
        async with environment(tmp_path, ONE_LINE, extensions=[extension.path]) as (env, _):
            assert env.ledger is None
            await invoke(env)
        assert env.ledger == {"type": "tailrace.ledger", "file:///x": {"received": 2}}

    run(main())


def test_without_an_extension_every_event_stands_in_the_log_without_a_subscriber(tmp_path: Path) -> None:
    async def main() -> None:
        async with environment(tmp_path, ONE_LINE) as (env, _):
            await invoke(env)
        entries: list[dict[str, Any]] = [entry.as_json() for entry in env.telemetry_log]
        assert {entry["subscriber"] for entry in entries} == {None}
        assert "platform.report" in [entry["event"]["type"] for entry in entries]
        assert {entry["deliveredAt"] for entry in entries} == {None}
        assert env.ledger is None

    run(main())


def quick_machine(config: FunctionConfig, api_address: str, variables: Mapping[str, str]) -> Environment:
    """The real machine with an init phase of a third of a second."""
    return Environment(config, lambda: str(uuid.uuid4()), api_address, Policy(init_timeout_ms=300), variables)


@pytest.mark.parametrize(("body", "status"), [("exit 3", "error"), ("sleep 1000", "timeout")])
def test_an_extension_that_never_gets_ready_does_not_hang_the_start(tmp_path: Path, body: str, status: str) -> None:
    path = executable(tmp_path / "unready", f"#!/bin/sh\n{body}\n")

    async def main() -> None:
        options: dict[str, Any] = {"extensions": [path], "timeout_s": 0.5, "machine_factory": quick_machine}
        async with environment(tmp_path, ONE_LINE, **options) as (env, story):
            assert story.of("init")[0].status == status
            result = await invoke(env)
            assert result.answer.function_error == "Unhandled"
            assert result.report.status == status

    run(main())


def test_extensions_see_the_platforms_variables_without_the_runtimes(tmp_path: Path) -> None:
    program = "import json, os, signal\nprint(json.dumps(dict(os.environ)), flush=True)\nsignal.pause()\n"
    script = f"#!{sys.executable} -IS\n{program}"
    path = executable(tmp_path / "dumper", script)

    async def main() -> None:
        options: dict[str, Any] = {"extensions": [path], "start": False, "isolation": "process"}
        async with environment(tmp_path, ONE_LINE, **options) as (env, story):
            starting = asyncio.create_task(env.start())
            await until(lambda: any("AWS_REGION" in line for line in story.lines))
            starting.cancel()
            seen = json.loads(next(line for line in story.lines if "AWS_REGION" in line))
            assert "_HANDLER" not in seen
            assert seen["TAILRACE_LISTEN_HOST"] == "127.0.0.1"
            assert seen["TAILRACE_SPOOL_DIR"].startswith(str(tmp_path))

    run(main())
