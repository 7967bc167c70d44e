"""Processes in namespaces, seen from outside."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tailrace.emulator.isolation.choice import what_is_missing
from tailrace.emulator.processes import procfs
from tailrace.testing.waiting import until

MISSING = what_is_missing()
needs_namespaces = pytest.mark.skipif(bool(MISSING), reason=f"not allowed here: {MISSING}")
ISOLATIONS = ["process", pytest.param("namespace", marks=needs_namespaces)]
"""For tests that shall hold in both."""
SHOWN_IN_TMP = sorted({Path(folder).parts[2] for folder in (sys.prefix, sys.base_prefix) if folder.startswith("/tmp/")})
"""What an environment's `/tmp` begins with: the way to the interpreter, where this project was put below `/tmp`."""


def outside(pids: Iterable[int], below: int | None = None) -> list[int]:
    """The pids here of processes that know themselves by `pids`; those are looked for `below` a process of ours.

    A process that has no namespace is known by the same number everywhere.
    """
    wanted = list(pids)
    found = until(
        lambda: _found(wanted, below or os.getpid()), 10, lambda: f"no processes that call themselves {wanted}"
    )
    assert found is not None
    return found


def _found(pids: list[int], below: int) -> list[int] | None:
    """None where one is missing: the kernel's lists of children may skip some while others end."""
    here = {inner: pid for pid in procfs.descendants(below) if (inner := _innermost(pid)) is not None}
    return [here[pid] for pid in pids] if all(pid in here for pid in pids) else None


def _innermost(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), None)
