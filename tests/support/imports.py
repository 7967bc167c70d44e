"""Which modules the agent's code brings along, seen in a fresh interpreter without site packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

# what costs more at a cold start than the agent may spend
FORBIDDEN = frozenset(
    [
        "abc",
        "asyncio",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
        "email",
        "enum",
        "functools",
        "http",
        "json",
        "logging",
        "pathlib",
        "queue",
        "random",
        "re",
        "shutil",
        "socket",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "typing",
        "urllib",
    ]
)

_PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
exec(sys.argv[2])
print()
print(*(set(sys.modules) - before))
"""


def modules_after(code: str) -> set[str]:
    """The modules that `code` adds to an interpreter started with ``-I -S``."""
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(SOURCE), code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return set(done.stdout.splitlines()[-1].split())


def forbidden_after(code: str) -> set[str]:
    """Those of them that cost more than the agent may spend."""
    return {name for name in modules_after(code) if name.split(".")[0] in FORBIDDEN}


def modules_after_importing(*names: str) -> set[str]:
    """The modules that importing `names` adds."""
    return modules_after("\n".join(f"import {name}" for name in names))


def modules_of(package: str) -> list[str]:
    """Every module in `src/tailrace/<package>` by its dotted name, but for those that only type checkers read."""
    names = sorted(path.stem for path in (SOURCE / "tailrace" / package).glob("*.py"))
    return [f"tailrace.{package}.{name}" for name in names if name not in ("__init__", "interfaces")]
