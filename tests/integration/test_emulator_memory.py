"""Functions that use more memory than they have: killed by the kernel where a control group holds them, else as soon as
it is seen; and functions that only look as if they did."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.emulator_async import run, until
from support.emulator_extensions import ShellExtension
from support.emulator_runs import Story, environment, function_folder, invoke
from tailrace.emulator.driver import ExecutionEnvironment, make_machine
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.limits import cgroups
from tailrace.emulator.limits.cgroups import MEMORY
from tailrace.emulator.limits.resources import find_group
from tailrace.emulator.machine import effects, facts
from tailrace.emulator.workspace import clean_up

MB = 1_048_576

HUNGRY = """
import mmap, os, time
kept = []
def handler(event, context):
    kept.append(b"x" * (event.get("keep", 0) * 1048576))
    len(b"y" * (event.get("burst", 0) * 1048576))
    if event.get("map"):
        with open(event["map"], "rb") as file:
            kept.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        sum(kept[-1][::4096])
    if event.get("write"):
        name = f"/tmp/written-by-{event['name']}"
        with open(name, "wb") as file:
            for _ in range(event["write"]):
                file.write(b"z" * 1048576)
        os.remove(name)
    while event.get("stay"):
        time.sleep(0.01)
    return os.getpid()
"""

NO_GROUP = find_group("probe", frozenset({MEMORY})) is None
needs_group = pytest.mark.skipif(NO_GROUP, reason="no control group can be made here")


class Recording:
    """The real machine, and what was said to it."""

    def __init__(self, config: FunctionConfig, api_address: str, variables: Mapping[str, str]) -> None:
        self._machine = make_machine(config, api_address, variables)
        self.facts: list[facts.Fact] = []
        recordings.append(self)

    def handle(self, fact: facts.Fact, now_ns: int) -> list[effects.Effect]:
        self.facts.append(fact)
        return self._machine.handle(fact, now_ns)


recordings: list[Recording] = []


def over_the_limit() -> list[facts.MemoryLimitExceeded]:
    return [fact for fact in recordings[-1].facts if isinstance(fact, facts.MemoryLimitExceeded)]


def event(**members: object) -> bytes:
    return json.dumps(members).encode()


def assert_out_of_memory(story: Story) -> None:
    result = story.of("closed")[-1]
    assert result.answer.function_error == "Unhandled"
    assert "signal: killed" in json.loads(result.answer.payload)["errorMessage"]
    report = result.report
    assert (report.status, report.memory_size_mb, report.max_memory_used_mb) == ("error", 128, 128)
    assert any("Max Memory Used: 128 MB" in line for line in story.lines)


async def works(env: ExecutionEnvironment, story: Story) -> bool:
    result = await invoke(env)
    return not result.answer.function_error and result.report.max_memory_used_mb < 128


def test_a_burst_is_ended_and_the_next_invocation_works(tmp_path: Path) -> None:
    async def scenario() -> None:
        extension = ShellExtension(tmp_path)
        async with environment(
            tmp_path, HUNGRY, extensions=[extension.path], timeout_s=20, machine_factory=Recording
        ) as (env, story):
            result = await invoke(env, event(burst=1000))
            assert result.answer.function_error == "Unhandled"
            assert len(over_the_limit()) == 1
            assert_out_of_memory(story)
            assert await works(env, story)
            shutdowns = [told for told in extension.events if told["eventType"] == "SHUTDOWN"]
            assert [told["shutdownReason"] for told in shutdowns] == ["failure"]
        assert env.process_exits["runtime"].generation == 2
        report = next(told["record"] for told in extension.telemetry if told["type"] == "platform.report")
        assert report["status"] == "error"
        assert report["metrics"]["maxMemoryUsedMB"] == 128

    run(scenario(), limit_s=60)


def test_what_grows_slowly_over_the_limit_is_seen_and_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        extension = ShellExtension(tmp_path)
        async with environment(
            tmp_path, HUNGRY, extensions=[extension.path], timeout_s=20, machine_factory=Recording
        ) as (env, story):
            await invoke(env, event(keep=121, stay=True))
            assert over_the_limit()[0].n_bytes > 128 * MB
            assert not over_the_limit()[0].killed_by_kernel
            assert_out_of_memory(story)
            assert await works(env, story)
            shutdowns = [told for told in extension.events if told["eventType"] == "SHUTDOWN"]
            assert [told["shutdownReason"] for told in shutdowns] == ["failure"]

    run(scenario(), limit_s=60)


def test_the_limit_is_for_all_processes_together(tmp_path: Path) -> None:
    async def scenario() -> None:
        extension = ShellExtension(
            tmp_path,
            at_invoke=f'{sys.executable} -I -S -c "x = bytearray(70 << 20); x[::4096] = x[::4096]; input()" <> '
            f"{tmp_path}/fifo",
        )
        os.mkfifo(tmp_path / "fifo")
        async with environment(
            tmp_path, HUNGRY, extensions=[extension.path], timeout_s=20, machine_factory=Recording
        ) as (env, story):
            await invoke(env, event(keep=70, stay=True))
            assert over_the_limit()
            assert_out_of_memory(story)

    run(scenario(), limit_s=60)


def test_a_function_within_its_memory_lives_whatever_files_it_writes_and_maps(tmp_path: Path) -> None:
    async def scenario() -> None:
        with (function_folder(tmp_path, HUNGRY) / "large").open("wb") as file:
            for _ in range(300):
                file.write(os.urandom(4096) * 256)
        async with environment(tmp_path, HUNGRY, timeout_s=20, machine_factory=Recording) as (env, _):
            first = await invoke(env, event(keep=90))
            second = await invoke(env, event(map="large"))
            third = await invoke(env, event(write=300, name=tmp_path.name))
            assert [result.answer.function_error for result in (first, second, third)] == [""] * 3
            assert first.report.max_memory_used_mb >= 90
            assert second.report.max_memory_used_mb == 128
            assert env.process_exits == {}
            assert over_the_limit() == []

    run(scenario(), limit_s=60)


def groups_of(folder: Path) -> list[Path]:
    names = {cgroups.PREFIX + path.name for path in folder.iterdir()}
    trees = {hierarchy.own for hierarchy in cgroups.find_hierarchies()}
    return [own / name for own in trees for name in names if (own / name).is_dir()]


@needs_group
def test_every_process_is_in_the_group_and_the_group_goes_with_the_environment(tmp_path: Path) -> None:
    async def scenario() -> list[Path]:
        async with environment(tmp_path, HUNGRY, extensions=[ShellExtension(tmp_path).path]) as (env, _):
            groups = groups_of(tmp_path / "environments")
            assert len(groups) == 1
            await invoke(env)
            # runtime, extension, and the listener that the extension has started
            await until(lambda: len(cgroups.members(groups[0])) >= 3)
            return groups

    assert [group.exists() for group in run(scenario())] == [False]


EMULATOR = """
import asyncio, sys
from pathlib import Path
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.run_loop import run
from tailrace.emulator.workspace import Workspace

async def main():
    with Workspace.create(Path(sys.argv[2])) as workspace:
        config = build_function(FunctionOptions("app.handler", Path(sys.argv[1])), workspace)
        async with ExecutionEnvironment(config, workspace=workspace) as environment:
            await environment.start()
            print("started", flush=True)
            await asyncio.sleep(1000)
run(main())
"""


@needs_group
def test_the_next_start_removes_the_group_of_a_killed_emulator(tmp_path: Path) -> None:
    folder = tmp_path / "environments"
    folder.mkdir()
    command = [sys.executable, "-c", EMULATOR, str(function_folder(tmp_path, HUNGRY)), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "started\n"
            groups = groups_of(folder)
            assert len(groups) == 1
        finally:
            process.send_signal(signal.SIGKILL)
    assert groups[0].exists()
    assert clean_up(folder) == 1
    assert not groups[0].exists()
