from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from support.emulator_async import run, until
from support.emulator_runs import environment, executable, invoke
from support.namespaces import ISOLATIONS, outside
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.processes import procfs
from tailrace.emulator.workspace import Workspace
from tailrace.errors import EnvironmentEndedError, EnvironmentStartError


def test_a_cold_and_a_warm_invocation_of_a_python_function(tmp_path: Path) -> None:
    source = (
        "print('import')\nn = 0\ndef handler(event, context):\n    global n\n"
        "    n += 1\n    print('call', n)\n    return {'n': n, 'id': context.aws_request_id, 'event': event}\n"
    )

    async def main() -> None:
        async with environment(tmp_path, source) as (env, story):
            cold = await invoke(env, b'{"a": "\xc3\xa9"}')
            warm = await invoke(env)
            assert json.loads(cold.answer.payload) == {"n": 1, "id": cold.answer.request_id, "event": {"a": "é"}}
            assert json.loads(warm.answer.payload)["n"] == 2
            assert cold.report.init_duration_ms is not None
            assert warm.report.init_duration_ms is None
            assert cold.report.status == warm.report.status == "success"
            assert cold.report.max_memory_used_mb >= 5
            texts = [line.text for line in warm.logs]
            assert texts[:3] == [
                f"START RequestId: {warm.answer.request_id} Version: $LATEST",
                "call 2",
                f"END RequestId: {warm.answer.request_id}",
            ]
            assert texts[3].startswith(f"REPORT RequestId: {warm.answer.request_id}\tDuration: ")
            assert "import" in story.lines
        kinds = [kind for kind, _ in story.events if kind != "log"]
        cycle = ["frozen", "started", "thawed", "answered", "closed"]
        assert kinds == ["init", *cycle, *cycle, "frozen", "thawed", "exit", "ended"]
        assert env.process_exits["runtime"].signal == "SIGKILL"

    run(main())


def test_an_exception_is_the_invokers_and_the_process_goes_on(tmp_path: Path) -> None:
    source = (
        "n = 0\ndef handler(event, context):\n    global n\n"
        "    n += 1\n    if n == 1: raise KeyError('stock')\n    return n\n"
    )

    async def main() -> None:
        async with environment(tmp_path, source) as (env, _):
            failed = await invoke(env)
            document = json.loads(failed.answer.payload)
            assert failed.answer.function_error == "Unhandled"
            assert (document["errorType"], document["errorMessage"]) == ("KeyError", "'stock'")
            assert (await invoke(env)).answer.payload == b"2"

    run(main())


def test_a_timeout_resets_and_the_next_invocation_starts_anew(tmp_path: Path) -> None:
    source = (
        "import os, time\nn = 0\ndef handler(event, context):\n    global n\n    n += 1\n"
        "    print('in', flush=True)\n    while event.get('hang'): time.sleep(1)\n    return [n, os.getpid()]\n"
    )

    async def main() -> None:
        async with environment(tmp_path, source, timeout_s=0.5) as (env, story):
            first = json.loads((await invoke(env)).answer.payload)
            timed_out = await invoke(env, b'{"hang": 1}')
            assert json.loads(timed_out.answer.payload)["errorType"] == "Sandbox.Timedout"
            assert "Task timed out after 0.50 seconds" in json.loads(timed_out.answer.payload)["errorMessage"]
            assert timed_out.report.status == "timeout"
            assert "in" in [line.text for line in timed_out.logs]
            second = json.loads((await invoke(env)).answer.payload)
            assert second[0] == 1
            assert second[1] != first[1]
            assert [report.phase for report in story.of("init")] == ["init", "invoke"]

    run(main())


@pytest.mark.parametrize(
    ("death", "said"), [("os._exit(7)", "exit status 7"), ("os.kill(os.getpid(), 9)", "signal: killed")]
)
def test_a_crash_of_the_runtime_is_an_error_and_a_reset(tmp_path: Path, death: str, said: str) -> None:
    source = f"import os\ndef handler(event, context):\n    if event.get('die'): {death}\n    return 'alive'\n"

    async def main() -> None:
        async with environment(tmp_path, source) as (env, _):
            crashed = await invoke(env, b'{"die": 1}')
            document = json.loads(crashed.answer.payload)
            assert document["errorType"] == "Runtime.ExitError"
            assert said in document["errorMessage"]
            assert (await invoke(env)).answer.payload == b'"alive"'

    run(main())


def test_a_module_that_fails_at_import_is_tried_again_by_the_invocation_and_answered(tmp_path: Path) -> None:
    async def main() -> None:
        source = "raise RuntimeError('no luck')\ndef handler(event, context): pass\n"
        async with environment(tmp_path, source) as (env, story):
            assert story.of("init")[0].status == "error"
            result = await invoke(env)
            assert "no luck" in json.loads(result.answer.payload)["errorMessage"]
            assert result.answer.function_error == "Unhandled"

    run(main())


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_freezing_really_stops_the_tree_with_a_grandchild_of_another_session(tmp_path: Path, isolation: str) -> None:
    source = (
        "import os, subprocess, sys\n"
        "code = 'import os,time; os.setsid(); print(os.getpid(), flush=True); time.sleep(1000)'\n"
        "child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)\n"
        "pids = [os.getpid(), child.pid]\nassert int(child.stdout.readline()) == child.pid\n"
        "def handler(event, context):\n    return pids\n"
    )

    def states(pids: list[int]) -> list[str]:
        return [stat.state if (stat := procfs.stat(pid)) else "gone" for pid in pids]

    async def main() -> None:
        async with environment(tmp_path, source, isolation=isolation) as (env, story):
            told = json.loads((await invoke(env)).answer.payload)
            pids = outside(told)
            assert story.events[-1][0] == "frozen"
            assert states(pids) == ["T", "T"]
            assert json.loads((await invoke(env)).answer.payload) == told
        assert [pid for pid in pids if (stat := procfs.stat(pid)) and not stat.is_dead] == []
        async with environment(tmp_path, source, freeze=False, isolation=isolation) as (env, story):
            pids = outside(json.loads((await invoke(env)).answer.payload))
            assert "T" not in states(pids)
            assert story.of("frozen") == []

    run(main())


def test_invocations_that_come_together_run_one_after_the_other(tmp_path: Path) -> None:
    source = (
        "busy = 0\ndef handler(event, context):\n    global busy\n    busy += 1\n"
        "    now = busy\n    busy -= 1\n    return [event, now]\n"
    )

    async def main() -> None:
        async with environment(tmp_path, source) as (env, story):
            results = await asyncio.gather(*(invoke(env, b"%d" % n) for n in range(20)))
            assert [json.loads(result.answer.payload) for result in results] == [[n, 1] for n in range(20)]
            kinds = [kind for kind, _ in story.events if kind in ("started", "closed")]
            assert kinds == ["started", "closed"] * 20

    run(main())


def test_layers_bring_modules_and_programs(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    (layer / "python").mkdir(parents=True)
    (layer / "python" / "helper.py").write_text("NAME = 'from the layer'\n")
    executable(layer / "bin" / "tool", "#!/bin/sh\necho tool ran\n")
    source = (
        "import subprocess, helper\ndef handler(event, context):\n"
        "    return [helper.NAME, subprocess.check_output(['tool'], text=True).strip()]\n"
    )

    async def main() -> None:
        async with environment(tmp_path, source, layers=[layer]) as (env, _):
            assert json.loads((await invoke(env)).answer.payload) == ["from the layer", "tool ran"]

    run(main())


def test_the_hosts_variables_stay_outside_and_the_platforms_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the host")
    monkeypatch.setenv("HOST_ONLY", "1")
    source = "import os\nENV = dict(os.environ)\ndef handler(event, context):\n    return ENV\n"

    async def main() -> None:
        async with environment(tmp_path, source, variables={"MINE": "yes"}) as (env, _):
            seen = json.loads((await invoke(env)).answer.payload)
            assert seen["MINE"] == "yes"
            assert "HOST_ONLY" not in seen
            assert "of the host" not in seen.values()
            assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")
            assert seen["LAMBDA_TASK_ROOT"] == env.config.task_root == seen.get("PWD", seen["LAMBDA_TASK_ROOT"])
            assert seen["AWS_LAMBDA_RUNTIME_API"].startswith("127.0.0.1:")

    run(main())


def test_a_thousand_lines_before_the_answer_are_all_in_the_invocations_log(tmp_path: Path) -> None:
    source = "def handler(event, context):\n    for n in range(1000): print('line', n)\n"

    async def main() -> None:
        async with environment(tmp_path, source) as (env, _):
            for _ in range(3):
                result = await invoke(env)
                lines = [line.text for line in result.logs if line.source == "function"]
                assert lines == [f"line {n}" for n in range(1000)]

    run(main())


def test_more_output_than_a_pipe_holds_does_not_block_the_function(tmp_path: Path) -> None:
    source = "def handler(event, context):\n    for n in range(300): print('x' * 20_000)\n    return 'done'\n"

    async def main() -> None:
        async with environment(tmp_path, source) as (env, _):
            result = await invoke(env)
            assert result.answer.payload == b'"done"'
            assert sum(line.source == "function" for line in result.logs) == 300

    run(main())


def test_a_runtime_that_cannot_be_started_at_all_is_said_so(tmp_path: Path) -> None:
    bootstrap = executable(tmp_path / "bootstrap", "\x7fELF nonsense")

    async def main() -> None:
        with pytest.raises(EnvironmentStartError, match="bootstrap: Exec format error"):
            async with environment(tmp_path, bootstrap=bootstrap):
                pass

    run(main())


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_leaving_in_the_middle_of_an_invocation_ends_everything(tmp_path: Path, isolation: str) -> None:
    source = (
        "import os, time\ndef handler(event, context):\n"
        "    print('pid', os.getpid(), flush=True)\n    time.sleep(1000)\n"
    )

    async def main() -> None:
        async with environment(tmp_path, source, timeout_s=60, isolation=isolation) as (env, story):
            call = asyncio.create_task(invoke(env))
            await until(lambda: any(line.startswith("pid ") for line in story.lines))
            (pid,) = outside(int(line.split()[1]) for line in story.lines if line.startswith("pid "))
        assert json.loads((await call).answer.payload)["errorType"] == "Sandbox.Failure"
        stat = procfs.stat(pid)
        assert stat is None or stat.is_dead

    run(main())


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_an_exception_in_the_block_leaves_no_process_and_no_folder(tmp_path: Path, isolation: str) -> None:
    pids: list[int] = []

    async def main() -> None:
        async with environment(tmp_path, "import os\ndef handler(e, c): return os.getpid()\n", isolation=isolation) as (
            env,
            _,
        ):
            pids.extend(outside([json.loads((await invoke(env)).answer.payload)]))
            raise LookupError

    with pytest.raises(LookupError):
        run(main())
    stat = procfs.stat(pids[0])
    assert stat is None or stat.is_dead
    assert list((tmp_path / "environments").iterdir()) == []


def test_an_environment_never_started_can_be_left(tmp_path: Path) -> None:
    async def main() -> None:
        async with environment(tmp_path, start=False) as (env, _):
            with pytest.raises(RuntimeError, match="not been started"):
                await invoke(env)

    run(main())


def test_after_the_end_there_are_no_more_invocations(tmp_path: Path) -> None:
    async def main() -> None:
        async with environment(tmp_path) as (env, _):
            await env.shutdown()
            await env.shutdown()
            with pytest.raises(EnvironmentEndedError):
                await invoke(env)

    run(main())


def test_an_environment_makes_and_removes_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "app.py").write_text("def handler(event, context): return 1\n")

    async def main() -> None:
        with Workspace.create() as workspace:
            config = build_function(FunctionOptions("app.handler", tmp_path / "shop"), workspace)
        async with ExecutionEnvironment(config) as env:
            await env.start()
            assert (await invoke(env)).answer.payload == b"1"
            assert len(list((tmp_path / f"tailrace-{os.getuid()}").iterdir())) == 1
        assert list((tmp_path / f"tailrace-{os.getuid()}").iterdir()) == []

    run(main())


def test_a_function_that_dies_as_it_is_imported_used_some_memory(tmp_path: Path) -> None:
    async def main() -> None:
        async with environment(tmp_path, "import os\nos._exit(7)\ndef handler(event, context): pass\n") as (env, _):
            result = await invoke(env)
            assert result.report.error_type == "Runtime.ExitError"
            assert result.report.max_memory_used_mb > 1

    run(main())


def test_text_without_a_line_end_belongs_to_the_invocation_that_printed_it(tmp_path: Path) -> None:
    source = "def handler(event, context):\n    print('no end', end='')\n"

    async def main() -> None:
        async with environment(tmp_path, source) as (env, _):
            for _ in range(2):
                result = await invoke(env)
                assert [line.text for line in result.logs if line.source == "function"] == ["no end"]

    run(main())


def test_a_response_of_the_largest_size_is_given_and_one_byte_more_is_a_function_error(tmp_path: Path) -> None:
    largest = 6_291_556

    async def main() -> None:
        source = "def handler(event, context):\n    return 'x' * (event - 2)\n"
        async with environment(tmp_path, source, timeout_s=30) as (env, _):
            fits = await invoke(env, str(largest).encode())
            too_large = await invoke(env, str(largest + 1).encode())
            after = await invoke(env, b"10")
        assert (len(fits.answer.payload), fits.answer.function_error) == (largest, "")
        assert too_large.answer.function_error == "Unhandled"
        assert json.loads(too_large.answer.payload) == {
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": f"Response payload size exceeded maximum allowed payload size ({largest} bytes).",
        }
        assert after.answer.payload == b'"xxxxxxxx"'

    run(main())


def test_an_environment_that_was_ready_long_before_its_first_request_tells_its_init_there(tmp_path: Path) -> None:
    async def main() -> None:
        source = "print('said in init')\ndef handler(event, context):\n    print('said in invoke')\n    return 1\n"
        async with environment(tmp_path, source) as (env, story):
            assert story.of("frozen") == [None]
            first = await invoke(env)
            second = await invoke(env)
        init_ms = story.of("init")[0].duration_ms
        assert first.report.init_duration_ms == init_ms
        assert first.report.billed_duration_ms >= init_ms
        assert second.report.init_duration_ms is None
        said = {line.text: line.request_id for line in story.of("log") if line.source == "function"}
        assert said == {"said in init": None, "said in invoke": second.report.request_id}

    run(main())
