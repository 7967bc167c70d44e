"""Running functions in real local environments, from tests."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.driver import ExecutionEnvironment, MachineFactory, make_machine
from tailrace.emulator.function import Answer, Invocation
from tailrace.emulator.invocations import new_invocation
from tailrace.emulator.machine.effects import ReportInit, WriteLog
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.observer import InvocationResult, ProcessExit, SilentObserver
from tailrace.emulator.workspace import Workspace


class Story(SilentObserver):
    """Keeps everything in the order in which it was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []

    def of(self, kind: str) -> list[Any]:
        """What was told of this kind; a caller knows its type."""
        return [value for name, value in self.events if name == kind]

    @property
    def lines(self) -> list[str]:
        return [line.text for line in self.of("log")]

    def log_written(self, line: WriteLog) -> None:
        self.events.append(("log", line))

    def init_reported(self, report: ReportInit) -> None:
        self.events.append(("init", report))

    def invocation_started(self, invocation: Invocation) -> None:
        self.events.append(("started", invocation))

    def invocation_answered(self, answer: Answer) -> None:
        self.events.append(("answered", answer))

    def invocation_closed(self, result: InvocationResult) -> None:
        self.events.append(("closed", result))

    def frozen(self) -> None:
        self.events.append(("frozen", None))

    def thawed(self) -> None:
        self.events.append(("thawed", None))

    def process_exited(self, exit: ProcessExit) -> None:  # noqa: A002 - as in Observer
        self.events.append(("exit", exit))

    def environment_ended(self, reason: str) -> None:
        self.events.append(("ended", reason))


def executable(path: Path, text: str) -> Path:
    """Write a file that may be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


def function_folder(tmp_path: Path, source: str) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text(source)
    return folder


def folders_to_write_to(extensions: Sequence[Path]) -> list[str]:
    """Mounts for what lies beside extensions to be written to: all else is read-only in namespaces."""
    return [str(folder) for path in extensions for folder in path.parent.glob("*-out")]


@asynccontextmanager
async def environment(
    tmp_path: Path,
    source: str = "def handler(event, context):\n    return event\n",
    *,
    extensions: Sequence[Path] = (),
    layers: Sequence[Path] = (),
    bootstrap: Path | None = None,
    variables: Mapping[str, str] | None = None,
    timeout_s: float = 3.0,
    freeze: bool = True,
    log_format: str = "text",
    start: bool = True,
    machine_factory: MachineFactory = make_machine,
    isolation: str = "auto",
    mounts: Sequence[str] = (),
    **more: Any,
) -> AsyncIterator[tuple[ExecutionEnvironment, Story]]:
    """An environment of a function whose module is `source`, initialised unless told otherwise. `more` are options of
    the function. It freezes at once, so that what is frozen does not depend on the clock. What extensions write to
    folders of theirs that end in ``-out`` is seen by the test."""
    parent = tmp_path / "environments"
    parent.mkdir(exist_ok=True)
    options = FunctionOptions(
        handler="app.handler",
        code_dir=function_folder(tmp_path, source),
        bootstrap=bootstrap,
        extensions=extensions,
        layers=layers,
        variables=variables or {},
        timeout_s=timeout_s,
        freeze=freeze,
        log_format=log_format,
        isolation=isolation,
        mounts=[*mounts, *folders_to_write_to(extensions)],
        **{"policy": Policy(freeze_after_ms=0)} | more,
    )
    story = Story()
    with Workspace.create(parent) as workspace:
        config = build_function(options, workspace)
        async with ExecutionEnvironment(config, story, workspace=workspace, machine_factory=machine_factory) as env:
            if start:
                await env.start()
            yield env, story
    assert list(parent.iterdir()) == []


async def invoke(env: ExecutionEnvironment, payload: bytes = b"{}") -> InvocationResult:
    return await env.invoke(new_invocation(payload, env.now_ns()))
