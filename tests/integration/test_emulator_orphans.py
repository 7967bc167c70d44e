from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.emulator_runs import executable, function_folder
from support.namespaces import ISOLATIONS
from tailrace.emulator.processes import procfs
from tailrace.emulator.workspace import clean_up
from tailrace.testing.waiting import until

FUNCTION = """
import os, subprocess, sys
code = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(1000)"
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
pids = [os.getpid(), int(child.stdout.readline())]
def handler(event, context):
    return pids
"""

EMULATOR = """
import asyncio, sys
from pathlib import Path
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.invocations import new_invocation
from tailrace.emulator.run_loop import TerminatedError, run
from tailrace.emulator.workspace import Workspace

async def main():
    with Workspace.create(Path(sys.argv[2])) as workspace:
        extensions = [Path(sys.argv[3])]
        options = FunctionOptions("app.handler", Path(sys.argv[1]), extensions=extensions, isolation=sys.argv[4])
        config = build_function(options, workspace)
        async with ExecutionEnvironment(config, workspace=workspace) as environment:
            await environment.start()
            result = await environment.invoke(new_invocation(b"{}", environment.now_ns()))
            print(result.answer.payload.decode(), flush=True)
            await asyncio.sleep(1000)

try:
    run(main())
except TerminatedError as error:
    sys.exit(100 + error.signal)
except KeyboardInterrupt:
    sys.exit(77)
"""

EXTENSION = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension"
head=$(curl -s -D - -o /dev/null -X POST "$api/register" -H "Lambda-Extension-Name: sleeper" -d '{"events":[]}')
id=$(echo "$head" | tr -d '\\r' | sed -n 's/^[Ll]ambda-[Ee]xtension-[Ii]dentifier: //p')
exec curl -s "$api/event/next" -H "Lambda-Extension-Identifier: $id"
"""


def is_alive(pid: int) -> bool:
    stat = procfs.stat(pid)
    return stat is not None and not stat.is_dead


Emulator = tuple[subprocess.Popen[str], list[int], Path]
"""The process, its children, its folder."""


@pytest.fixture(params=ISOLATIONS)
def isolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def emulator(tmp_path: Path, isolation: str) -> Iterator[Emulator]:
    """A real emulator in a process of its own, with a frozen environment: the process, its children, its folder."""
    folder = tmp_path / "environments"
    folder.mkdir()
    extension = executable(tmp_path / "sleeper", EXTENSION)
    arguments = [str(function_folder(tmp_path, FUNCTION)), str(folder), str(extension), isolation]
    command = [sys.executable, "-c", EMULATOR, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        children = procfs.descendants(process.pid)
        assert len(children) >= 3
        yield process, children, folder
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        clean_up(folder)


def test_the_next_start_ends_what_a_killed_emulator_left_and_removes_its_folder(
    emulator: Emulator, isolation: str
) -> None:
    process, children, folder = emulator
    process.kill()
    process.wait()
    if isolation == "process":
        # the kernel itself ends stopped process groups that lose their parent, but not one with a session of its own
        assert any(is_alive(pid) for pid in children)
    else:  # without anybody's help
        until(lambda: not any(is_alive(pid) for pid in children), 10, lambda: f"{children} live on")
    assert clean_up(folder) == 1
    assert [is_alive(pid) for pid in children] == [False] * len(children)
    assert list(folder.iterdir()) == []
    assert clean_up(folder) == 0


def test_the_environment_of_a_living_emulator_is_left_alone(emulator: Emulator) -> None:
    _, children, folder = emulator
    assert clean_up(folder) == 0
    assert all(is_alive(pid) for pid in children)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 77), (signal.SIGTERM, 115), (signal.SIGHUP, 101)])
def test_an_emulator_told_to_end_cleans_up_itself(emulator: Emulator, number: signal.Signals, code: int) -> None:
    process, children, folder = emulator
    process.send_signal(number)
    assert process.wait(timeout=20) == code
    assert [pid for pid in children if is_alive(pid)] == []
    assert list(folder.iterdir()) == []


def test_a_process_that_only_has_the_number_of_an_old_one_is_not_killed(tmp_path: Path) -> None:
    other = subprocess.Popen(["/bin/sleep", "1000"])
    try:
        stale = tmp_path / "environment-0"
        stale.mkdir()
        (stale / "lock").touch()
        (stale / "state.json").write_text(f'{{"apiAddress": "", "processes": [[{other.pid}, 1]]}}')
        assert clean_up(tmp_path) == 1
        assert other.poll() is None
        assert os.listdir(tmp_path) == []  # noqa: PTH208
    finally:
        other.kill()
        other.wait()


def test_a_state_file_that_makes_no_sense_does_no_harm(tmp_path: Path) -> None:
    for n, text in enumerate(("", "[]", '{"processes": 1}', '{"apiAddress": "x", "processes": [["a", "b"]]}')):
        folder = tmp_path / f"environment-{n}"
        folder.mkdir()
        (folder / "lock").touch()
        (folder / "state.json").write_text(text)
    assert clean_up(tmp_path) == 4
    assert list(tmp_path.iterdir()) == []
