from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.emulator_extensions import ShellExtension, shell_runtime
from support.emulator_runs import executable, function_folder
from tailrace.emulator.processes import procfs
from tailrace.errors import ConfigError, EnvironmentEndedError, EnvironmentStartError
from tailrace.testing import ConditionNotMetError, LambdaEnvironment

FUNCTION = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
def handler(event, context):
    print("got", event)
    time.sleep(event.get("sleep_s", 0))
    if "fail" in event:
        raise KeyError(event["fail"])
    custom = context.client_context.custom if context.client_context else None
    return {"event": event, "pids": [os.getpid(), child.pid], "custom": custom, "stage": os.environ.get("STAGE")}
"""

StartEnvironment = Callable[..., LambdaEnvironment]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return function_folder(tmp_path, FUNCTION)


def is_alive(pid: int) -> bool:
    stat = procfs.stat(pid)
    return stat is not None and not stat.is_dead


def is_stopped(pid: int) -> bool:
    stat = procfs.stat(pid)
    return stat is not None and stat.is_stopped


def no_thread_is_left() -> bool:
    return all(thread.name != "tailrace" for thread in threading.enumerate())


def test_an_invocation_gives_what_the_function_returned_and_the_platforms_figures(
    lambda_environment: StartEnvironment, code: Path
) -> None:
    env = lambda_environment("app.handler", code=code, env={"STAGE": "test"}, memory_mb=256, name="orders")
    cold = env.invoke({"n": 1}, client_context={"custom": {"who": "me"}})
    warm = env.invoke(raw=b'{"n":  2}')

    assert cold.payload["event"] == {"n": 1}
    assert (cold.payload["custom"], cold.payload["stage"]) == ({"who": "me"}, "test")
    assert warm.payload["event"] == {"n": 2}
    assert cold.init_duration_ms is not None
    assert cold.init_duration_ms > 0
    assert warm.init_duration_ms is None
    assert cold.billed_duration_ms >= cold.duration_ms + cold.init_duration_ms
    assert cold.max_memory_used_mb > 0
    assert warm.logs[:2] == [f"START RequestId: {warm.request_id} Version: $LATEST", "got {'n': 2}"]
    assert warm.report_line == warm.logs[-1]
    assert warm.report_line.startswith(f"REPORT RequestId: {warm.request_id}\tDuration: ")
    assert "Memory Size: 256 MB" in warm.report_line
    assert env.config.arn == "arn:aws:lambda:us-east-1:123456789012:function:orders"
    assert [init.status for init in env.inits] == ["success"]


def test_without_pytest_it_is_a_context_manager_that_leaves_no_process_and_no_thread(code: Path) -> None:
    with LambdaEnvironment("app.handler", code=code, isolation="process") as env:
        pids = env.invoke().payload["pids"]
        env.wait_frozen()
        assert [is_stopped(pid) for pid in pids] == [True, True]
        env.shutdown()
        env.shutdown()
        assert [is_alive(pid) for pid in pids] == [False, False]

    assert no_thread_is_left()
    assert "got {}" in env.log_lines
    assert env.exits == {"runtime": "SIGKILL"}
    assert "ended" in repr(env)
    with pytest.raises(EnvironmentEndedError, match="the execution environment has ended"):
        env.invoke()
    with pytest.raises(RuntimeError, match="started once"):
        env.start()


def test_an_exception_inside_the_block_leaves_nothing_either(code: Path) -> None:
    with pytest.raises(ZeroDivisionError), LambdaEnvironment("app.handler", code=code, isolation="process") as env:  # noqa: PT012
        pids = env.invoke().payload["pids"]
        raise ZeroDivisionError

    assert [is_alive(pid) for pid in pids] == [False, False]
    assert no_thread_is_left()


def test_a_failed_invocation_does_not_raise_but_says_why(lambda_environment: StartEnvironment, code: Path) -> None:
    env = lambda_environment("app.handler", code=code, timeout_s=1)
    failed, late = env.invoke({"fail": "kettle"}), env.invoke({"sleep_s": 60})

    assert failed.error is not None
    assert (failed.error.type, failed.error.message) == ("KeyError", "'kettle'")
    assert 'raise KeyError(event["fail"])' in failed.error.stack[-1]
    assert "failed, KeyError: 'kettle'" in repr(failed)
    assert late.error is not None
    assert late.error.type == "Sandbox.Timedout"
    assert late.duration_ms == 1000
    assert env.wait_until(lambda: env.exits.get("runtime")) == "SIGKILL"


def test_our_agent_is_the_bare_word_and_its_ledger_accounts_for_what_was_delivered(
    lambda_environment: StartEnvironment, code: Path, tmp_path: Path
) -> None:
    target = f"file://{tmp_path}/out"
    env = lambda_environment(
        "app.handler", code=str(code), extensions=["tailrace"], env={"TAILRACE_DESTINATIONS": target}
    )
    result = env.invoke({"n": 1})

    event = env.telemetry.wait_for("function", "got {'n': 1}", subscriber="tailrace")
    assert event.delivered_at is not None
    assert event.delivered_at >= event.time
    assert env.telemetry.of("platform.report") == []
    with pytest.raises(ConditionNotMetError, match=r"not yet: 1 platform.report;.*the environment is frozen"):
        env.telemetry.wait_for("platform.report", timeout_s=0.02)
    early_ledger = env.ledger
    assert early_ledger is None
    env.shutdown()
    assert env.telemetry.wait_for("platform.report", {"requestId": result.request_id}, timeout_s=0)
    assert env.telemetry.undelivered == []
    assert env.ledger is not None
    assert env.ledger[target]["delivered"] == len(env.telemetry)
    assert env.exits["tailrace"] == 0


def test_any_extension_and_any_runtime_can_be_watched(lambda_environment: StartEnvironment, tmp_path: Path) -> None:
    extension = ShellExtension(tmp_path / "ext")
    env = lambda_environment(
        "any",
        code=function_folder(tmp_path, ""),
        bootstrap=shell_runtime(tmp_path),
        extensions=[extension.path],
        mounts=[str(extension.out)],
        freeze=False,
        log_format="json",
    )
    result = env.invoke({"n": 1})

    assert result.payload == {"echo": {"n": 1}}
    assert '"type":"platform.report"' in result.report_line
    env.telemetry.wait_for("function", {"message": 'shell got {"n": 1}'}, subscriber="shell-ext")
    assert env.wait_until(lambda: len(extension.events)) == 1
    with pytest.raises(ConditionNotMetError, match=r"not frozen within 0.02 s; .*running.*; freeze=False"):
        env.wait_frozen(timeout_s=0.02)
    with pytest.raises(ConditionNotMetError, match=r"<lambda> did not come true within 0 s; <LambdaEnvironment any"):
        env.wait_until(lambda: False, timeout_s=0)


def test_two_environments_at_once_do_not_touch_each_other(lambda_environment: StartEnvironment, code: Path) -> None:
    first, second = (lambda_environment("app.handler", code=code) for _ in range(2))
    pids = second.invoke().payload["pids"]
    first.invoke()
    first.shutdown()

    assert second.invoke().payload["pids"] == pids


def test_invocations_from_several_threads_run_one_after_the_other(
    lambda_environment: StartEnvironment, code: Path
) -> None:
    env = lambda_environment("app.handler", code=code)
    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(env.invoke({"n": n}))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(result.payload["event"]["n"] for result in results) == [0, 1, 2, 3]


def test_an_extension_that_cannot_work_shows_in_the_result(
    lambda_environment: StartEnvironment, code: Path, tmp_path: Path
) -> None:
    extension = executable(tmp_path / "quitter", "#!/bin/sh\necho giving up\nexit 3\n")
    env = lambda_environment("app.handler", code=code, extensions=[extension])
    result = env.invoke()

    assert result.error is not None
    assert result.error.type == "Extension.Crash"
    assert "never ready: quitter" in repr(result)
    assert "giving up" in env.log_lines
    assert env.exits["quitter"] == 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"handler": "app.handlr"}, 'handler "app.handlr" not found: .*did you mean "handler"'),
        ({"code": "/nowhere"}, "^code: /nowhere does not exist; give the folder"),
        ({"extensions": ["/nowhere/ext"]}, "^extensions: the extension /nowhere/ext does not exist"),
        ({"layers": ["/nowhere.zip"]}, "^layers: /nowhere.zip does not exist; give a folder or a zip file"),
        ({"env": {"AWS_LAMBDA_RUNTIME_API": "x"}}, "^env: AWS_LAMBDA_RUNTIME_API is reserved"),
        ({"extensions": ["tailrace"], "env": {"TAILRACE_DESTINATIONS": "s4://logs"}}, "unknown scheme .*s4"),
    ],
)
def test_a_mistake_in_the_setup_is_one_sentence_in_the_words_of_the_call(
    code: Path, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        LambdaEnvironment(**{"handler": "app.handler", "code": code, **options}).start()

    assert no_thread_is_left()


def test_a_program_that_the_system_refuses_to_start_is_one_sentence(code: Path, tmp_path: Path) -> None:
    runtime = executable(tmp_path / "bootstrap", "#!/nowhere/interpreter\n")
    with pytest.raises(EnvironmentStartError, match=f"cannot start {runtime}: No such file or directory: the interp"):
        LambdaEnvironment("app.handler", code=code, bootstrap=runtime).start()

    assert no_thread_is_left()


def test_an_environment_that_was_not_started_says_so(code: Path) -> None:
    env = LambdaEnvironment("app.handler", code=code, isolation="process")

    with pytest.raises(RuntimeError, match="use it in a with statement"):
        env.invoke()
    env.shutdown()
    assert "not started" in repr(env)
