"""Running functions that are described in full, from tests."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from support.emulator_runs import Story
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.workspace import Workspace


@asynccontextmanager
async def running(
    tmp_path: Path, options: FunctionOptions, host: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[ExecutionEnvironment, Story]]:
    """An initialised environment of the function; `host` are the variables of the process that sets it up."""
    parent = tmp_path / "environments"
    parent.mkdir(exist_ok=True)
    story = Story()
    with Workspace.create(parent) as workspace:
        config = build_function(options, workspace, **({} if host is None else {"host": host}))
        async with ExecutionEnvironment(config, story, workspace=workspace) as env:
            await env.start()
            yield env, story
    assert list(parent.iterdir()) == []


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Make `folder` and text files below it; those that begin with ``#!`` may be run."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def zip_folder(folder: Path, archive: Path) -> Path:
    """Pack what lies in `folder`, with its modes."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))
    return archive
