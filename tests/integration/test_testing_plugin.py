"""The fixture as its users have it: in a run of pytest of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.emulator_runs import function_folder
from tailrace.emulator.processes import procfs
from tailrace.testing.waiting import until

pytest_plugins = ("pytester",)

OPTIONS = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")  # the latter takes half a second to load

FUNCTION = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(1000)"])
with open("pids", "a") as file:
    print(os.getpid(), child.pid, file=file)
def handler(event, context):
    print("a line of the function")
    return event
"""

TESTS = """
def test_passes(lambda_environment):
    env = lambda_environment("app.handler", code="shop", isolation="process")
    assert env.invoke({"n": 1}).payload == {"n": 1}

def test_fails(lambda_environment):
    env = lambda_environment("app.handler", code="shop", isolation="process")
    assert env.invoke({"n": 1}).payload == {"n": 2}

def test_is_wrong(lambda_environment):
    lambda_environment("app.handlr", code="shop", isolation="process")

def test_exits(lambda_environment):
    lambda_environment("app.handler", code="shop", isolation="process")
    raise SystemExit(9)
"""


def living(folder: Path) -> list[int]:
    pids = [int(pid) for pid in (folder / "shop" / "pids").read_text().split()]
    stats = [procfs.stat(pid) for pid in pids]
    return [stat.pid for stat in stats if stat is not None and not stat.is_dead]


def test_the_fixture_cleans_up_however_a_test_ends_and_failures_show_the_log_stream(pytester: pytest.Pytester) -> None:
    function_folder(pytester.path, FUNCTION)
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess(*OPTIONS, timeout=60)

    result.assert_outcomes(passed=1, failed=3)
    assert len((pytester.path / "shop" / "pids").read_text().split()) == 6
    assert living(pytester.path) == []
    result.stdout.fnmatch_lines(
        [
            "*Captured log stream of shop teardown*",
            "START RequestId: *",
            "a line of the function",
            "REPORT RequestId: *",
            '>*lambda_environment("app.handlr", code="shop", isolation="process")',
            'E *UsageError: handler "app.handlr" not found: module app has no attribute "handlr" (did you mean*',
        ]
    )
    assert "contextlib.py" not in result.stdout.str()


def test_the_fixture_is_listed_with_a_sentence_on_how_it_is_used(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures", *OPTIONS, timeout=60)

    result.stdout.fnmatch_lines(["lambda_environment -- *plugin.py:*", "*Start local Lambda environments: *"])


HANGING_TEST = """
def test_hangs(lambda_environment):
    lambda_environment("app.handler", code="shop", isolation="process", timeout_s=60).invoke()
"""


def test_ctrl_c_in_the_middle_of_an_invocation_leaves_no_process(pytester: pytest.Pytester) -> None:
    hangs = "    import signal; open('invoked', 'w').close(); signal.pause()"
    folder = function_folder(pytester.path, FUNCTION.replace("    return event", hangs))
    pytester.makepyfile(HANGING_TEST)
    command = [sys.executable, "-m", "pytest", *OPTIONS]
    with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE) as run:
        until((folder / "invoked").exists, 20, lambda: "the function was not invoked")
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=20)

    assert b"KeyboardInterrupt" in output
    assert len((folder / "pids").read_text().split()) == 2
    assert living(pytester.path) == []
