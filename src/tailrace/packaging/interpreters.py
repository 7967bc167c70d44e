"""Finding Python interpreters that really run, to make bytecode with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tailrace.errors import UsageError

SUPPORTED = ("python3.11", "python3.12", "python3.13", "python3.14")
ANSWER_TIMEOUT_S = 20.0
_QUESTION = "import sys; print('python%d.%d' % sys.version_info[:2]); print(sys.executable)"


@dataclass(frozen=True)
class Interpreter:
    """`runtime` is Lambda's name for it (``python3.13``), `path` the program itself, never a shim."""

    runtime: str
    path: Path


def candidates(runtime: str) -> Iterator[Path]:
    """Where `runtime` may be: the running interpreter first, then every match on PATH, in its order."""
    if runtime == f"python{sys.version_info[0]}.{sys.version_info[1]}":
        yield Path(sys.executable)
    for folder in os.get_exec_path():
        path = Path(folder, runtime)
        if _is_program(path):
            yield path


def _is_program(path: Path) -> bool:
    """Whether a file may be run. A folder of PATH that may not be searched (after `su`, say) holds none for us."""
    try:
        return path.is_file() and os.access(path, os.X_OK)
    except OSError:
        return False


def ask(path: Path) -> Interpreter | None:
    """What `path` says it is, or None where it does not run (a shim whose version is not there)."""
    try:
        answer = subprocess.run(
            [path, "-I", "-S", "-c", _QUESTION], capture_output=True, text=True, timeout=ANSWER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = answer.stdout.splitlines()
    if answer.returncode != 0 or len(lines) != 2:
        return None
    return Interpreter(lines[0], Path(lines[1]))


def find(runtime: str) -> Interpreter | None:
    """The first interpreter that runs and is `runtime`."""
    for path in candidates(runtime):
        found = ask(path)
        if found is not None and found.runtime == runtime:
            return found
    return None


def find_all() -> tuple[Interpreter, ...]:
    """Every supported runtime that has an interpreter here, oldest first."""
    return tuple(found for found in map(find, SUPPORTED) if found is not None)


def named(runtimes: Iterable[str]) -> tuple[Interpreter, ...]:
    """The interpreters of these runtimes, oldest first, each once. Raises `UsageError` for one that is not
    supported or not here."""
    wanted = set(runtimes)
    for runtime in sorted(wanted):
        if runtime not in SUPPORTED:
            raise UsageError(
                "--runtime", f"{runtime!r} is not a runtime of this layer", f"one of {', '.join(SUPPORTED)}"
            )
    return tuple(_required(runtime) for runtime in SUPPORTED if runtime in wanted)


def _required(runtime: str) -> Interpreter:
    found = find(runtime)
    if found is None:
        raise UsageError(
            "--runtime",
            f"no working {runtime} was found on PATH",
            f"install it, put the folder of its program {runtime} on PATH, or leave the option out",
        )
    return found
