"""The Python interpreter that runs a function: which version it is, and whether it has the runtime client."""

from __future__ import annotations

import importlib.machinery
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tailrace.errors import UsageError

RUNTIME_CLIENT = "awslambdaric"
_PROBE = (
    "import sys, importlib.util as u; "
    f"print('%d.%d' % sys.version_info[:2], int(u.find_spec('{RUNTIME_CLIENT}') is not None)); "
    "print(sys.prefix); print(sys.base_prefix)"
)
_PROBE_LIMIT_S = 20


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`version` is ``3.13``; `has_runtime_client` whether `awslambdaric` is installed in it; `folders` where it is
    installed, its virtual environment's and its own."""

    path: Path
    version: str
    has_runtime_client: bool
    folders: tuple[Path, ...] = ()

    @property
    def is_ours(self) -> bool:
        return self.path == Path(sys.executable)


def find_interpreter(path: Path | None) -> Interpreter:
    """Look at the interpreter `path`, or at the one that runs this. Raises `UsageError` when it cannot be used."""
    own = Path(sys.executable)
    if path is None or _absolute(path) == own:
        found = importlib.machinery.PathFinder.find_spec(RUNTIME_CLIENT, sys.path)
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return Interpreter(own, version, found is not None, _folders(sys.prefix, sys.base_prefix))
    path = _absolute(path)
    if not path.is_file() or not os.access(path, os.X_OK):
        raise UsageError("--python", f"{path} is not an executable file", "give the path of a Python interpreter")
    return _probe(path)


def _folders(*prefixes: str) -> tuple[Path, ...]:
    return tuple(Path(prefix) for prefix in dict.fromkeys(prefixes))


def _absolute(path: Path) -> Path:
    """Absolute, but with its links: through them an interpreter knows its virtual environment."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the links


def _probe(path: Path) -> Interpreter:
    try:
        # as the function will run: without this process's variables
        result = subprocess.run(
            [str(path), "-c", _PROBE], env={}, capture_output=True, text=True, timeout=_PROBE_LIMIT_S, check=True
        )
        first, *prefixes = result.stdout.splitlines()
        version, has_client = first.split()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        detail = f": {error}" if isinstance(error, OSError) else ""
        found = f"{path} does not work as a Python interpreter{detail}"
        raise UsageError("--python", found, "give the path of a Python interpreter") from None
    return Interpreter(path, version, has_client == "1", _folders(*prefixes))


def require_runtime_client(interpreter: Interpreter, folders: Sequence[Path]) -> None:
    """Raises `UsageError` when neither the interpreter nor the function's own folders hold `awslambdaric`."""
    if interpreter.has_runtime_client or any((folder / RUNTIME_CLIENT / "__init__.py").is_file() for folder in folders):
        return
    raise UsageError(
        f"{interpreter.path}",
        f"{RUNTIME_CLIENT}, Lambda's own runtime client for Python, is not installed there",
        f"{interpreter.path} -m pip install {RUNTIME_CLIENT}",
    )
