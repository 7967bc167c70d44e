"""Which modules an import brings along, seen in a fresh interpreter without site packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

# what costs more at a cold start than the agent may spend
FORBIDDEN = frozenset(
    [
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
for name in sys.argv[2:]:
    __import__(name)
print(*sys.modules)
"""


def modules_after_importing(*names: str) -> set[str]:
    """All loaded modules."""
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(SOURCE), *names]
    return set(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split())


def modules_of(package: str) -> list[str]:
    """Every module in `src/tailrace/<package>` by its dotted name, but for those that only type checkers read."""
    names = sorted(path.stem for path in (SOURCE / "tailrace" / package).glob("*.py"))
    return [f"tailrace.{package}.{name}" for name in names if name not in ("__init__", "interfaces")]
