"""Settling how one function is kept apart: the level, and what of this machine its processes see all the same."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.isolation.choice import choose
from tailrace.emulator.isolation.level import PROCESS
from tailrace.emulator.isolation.mounts import HIDDEN, NOT_TARGETS, Mount, is_hidden, read_mount
from tailrace.emulator.workspace import Workspace
from tailrace.errors import UsageError

_TARGETS = ("TAILRACE_DESTINATIONS", "TAILRACE_DEAD_LETTER")
_TMP = "/tmp/"  # noqa: S108 - a prefix to compare with


def begin(requested: str, workspace: Workspace) -> None:
    """Start what takes its time, so that it is there when the function is checked."""
    if requested != PROCESS:
        workspace.begin_namespaces()


def settle(config: FunctionConfig, workspace: Workspace, requested: str, mounts: Sequence[str]) -> FunctionConfig:
    """The function with its isolation and its mounts.

    The folders of ``file://`` destinations can be written to, where all else but `/tmp` is read-only. Under `auto`,
    those in hidden places too, what the function's variables name below this machine's `/tmp`, and the Python that
    runs us, stay visible: what ran without namespaces shall run. Whoever asks for `namespace` says himself what is
    shown of hidden places. Raises `UsageError` for what is not allowed here or would be lost with the environment.
    """
    given = tuple(map(read_mount, mounts))
    isolation = choose(requested, None if requested == PROCESS else workspace.begin_namespaces())
    if not isolation.has_namespaces:
        _refuse_moved(given)
    elif isolation.is_chosen:
        _refuse_hidden_targets(config, given)
        given = (*_visible_targets(config), *given)
    else:
        given = (
            *_own_python(),
            *_visible_targets(config),
            *_destination_mounts(config),
            *_variable_mounts(config),
            *given,
        )
    return replace(config, isolation=isolation, mounts=given)


def _refuse_moved(mounts: Sequence[Mount]) -> None:
    for mount in mounts:
        if mount.target != str(mount.source) or mount.read_only:
            found = f"{mount.source} cannot be shown as {mount.target} to plain processes"
            raise UsageError("--mount", found, "that takes --isolation namespace")


def _file_targets(config: FunctionConfig) -> Iterator[tuple[str, str, str]]:
    """Each ``file://`` destination: its variable, as it was written, and its folder."""
    for variable in _TARGETS:
        for word in config.environment.get(variable, "").split():
            with contextlib.suppress(ValueError):
                url = urlsplit(word)
                folder = os.path.normpath(unquote(url.path or "/"))
                if url.scheme == "file":
                    yield variable, f"file://{url.path}", folder


def _hidden_targets(config: FunctionConfig) -> Iterator[tuple[str, str, str]]:
    return (target for target in _file_targets(config) if is_hidden(target[2]) or target[2] in HIDDEN)


def _visible_targets(config: FunctionConfig) -> Iterator[Mount]:
    """The folders of destinations that are seen inside as here, at the place that links on the way lead to."""
    for _, _, folder in _file_targets(config):
        path = Path(folder).resolve()
        if is_hidden(folder) or {folder, str(path)} & NOT_TARGETS:
            continue  # the agent says that it cannot write there
        _make_if_allowed(path)
        if path.is_dir():
            yield Mount(path, str(path))


def _make_if_allowed(folder: Path) -> None:
    with contextlib.suppress(OSError):  # the agent says that it cannot write there
        folder.mkdir(parents=True)


def _refuse_hidden_targets(config: FunctionConfig, mounts: Sequence[Mount]) -> None:
    shown = [mount.target for mount in mounts if not mount.read_only]
    for variable, written, folder in _hidden_targets(config):
        if not any(f"{folder}/".startswith(f"{target}/") for target in shown):
            raise _hidden_target(variable, written, folder)


def _hidden_target(variable: str, written: str, folder: str) -> UsageError:
    remedy = "choose a folder elsewhere" if folder in HIDDEN else f"add --mount {folder}, or choose a folder elsewhere"
    found = f"{written} lies in a place that is the environment's own and vanishes with it"
    return UsageError(variable, found, remedy)


def _own_python() -> Iterator[Mount]:
    """Programs of a project name the interpreter of its virtual environment, whatever they are written in."""
    for folder in dict.fromkeys((sys.prefix, sys.base_prefix)):
        if is_hidden(folder):
            yield Mount(Path(folder).resolve(), folder, read_only=True)


def _destination_mounts(config: FunctionConfig) -> Iterator[Mount]:
    for variable, written, folder in _hidden_targets(config):
        if folder in HIDDEN:
            raise _hidden_target(variable, written, folder)
        path = Path(folder)
        _make_if_allowed(path)
        if path.exists():
            yield Mount(path.resolve(), folder)


def _variable_mounts(config: FunctionConfig) -> Iterator[Mount]:
    """What is there, or the folder in which it would be made, unless that is `/tmp` itself."""
    for value in config.environment.values():
        for part in value.split(":"):
            if not part.startswith(_TMP):
                continue
            path = Path(os.path.normpath(part))
            shown = path if os.path.lexists(path) else path.parent
            with contextlib.suppress(OSError, ValueError):
                if is_hidden(shown) and shown.exists():
                    yield Mount(shown.resolve(), str(shown))
