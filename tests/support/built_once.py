"""Things that take long to make, made once and kept in the user's cache for later runs of the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

_LIMIT_S = 500


def built_once(name: str, build: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; `build` fills it the first time. It counts only when that has succeeded."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tailrace-tests"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / name).is_dir():
            fresh = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
            try:
                build(fresh)
                fresh.rename(cache / name)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    return cache / name


def require_programs(what: str, *programs: str) -> None:
    """Skip the test unless all of them are there."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{what} needs {', '.join(missing)}")


def run_or_skip(what: str, command: Sequence[str], folder: Path) -> None:
    """Run a command that needs the network; the test is skipped, with what it said, where that fails."""
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{what} took longer than {_LIMIT_S} s")
    if result.returncode != 0:
        said = [line for line in result.stderr.splitlines() if line.strip()][-3:]
        pytest.skip(f"{what} failed: {'; '.join(said)}")
