"""What else of this machine an environment shall see: `--mount SRC[:DST][:ro]`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tailrace.errors import UsageError

HIDDEN = ("/tmp", "/opt", "/var/task")  # noqa: S108 - the sandbox's own folders, not files of ours
"""Where an environment has its own files, in place of this machine's."""

NOT_TARGETS = frozenset({"/", "/proc", "/sys", "/dev", "/etc", "/var", *HIDDEN})
"""Places that can be shown in parts only."""

_FORM = "write SRC, SRC:DST or SRC:DST:ro"


@dataclass(frozen=True, slots=True)
class Mount:
    """`source` is a file or folder of this machine; `target` where processes see it."""

    source: Path
    target: str
    read_only: bool = False


def is_hidden(path: Path | str) -> bool:
    """Whether an environment has a folder of its own in place of the one in which `path` lies."""
    return any(str(path).startswith(f"{folder}/") for folder in HIDDEN)


def read_mount(text: str) -> Mount:
    """Read an option's value; may be written to unless it ends in ``:ro``. Raises `UsageError`."""
    parts = text.split(":")
    read_only = len(parts) > 1 and parts[-1] == "ro"
    if len(parts) > 1 and parts[-1] in ("ro", "rw"):
        parts.pop()
    if len(parts) > 2 or not all(parts):
        raise UsageError("--mount", f'"{text}" has not the right form', _FORM)
    given = Path(parts[0])
    if not given.exists():
        raise UsageError("--mount", f"{given} does not exist", "make it first")
    target = os.path.normpath(parts[1]) if len(parts) == 2 else os.path.abspath(given)  # noqa: PTH100 - links stay
    return Mount(given.resolve(), _checked(target), read_only)


def _checked(target: str) -> str:
    if not target.startswith("/"):
        raise UsageError("--mount", f'the target "{target}" is not an absolute path', _FORM)
    if target in NOT_TARGETS:
        raise UsageError("--mount", f"{target} as a whole is the environment's own", "name a place below it")
    return target
