"""What a bare interpreter has loaded after some code of the agent ran: the agent pays for it on a cold start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import tailrace

SOURCES = str(Path(tailrace.__file__).parent.parent)
FORBIDDEN = frozenset(
    (
        "dataclasses", "typing", "enum", "re", "logging", "asyncio", "http", "urllib", "email", "threading", "queue",
        "socket", "json", "datetime", "collections", "functools", "contextlib", "abc", "pathlib", "shutil", "tempfile",
        "subprocess", "random",
    )
)  # fmt: skip


def modules_after(code: str) -> set[str]:
    """The modules that `code` adds to an interpreter started with ``-I -S``."""
    program = (
        f"import sys; sys.path.insert(0, {SOURCES!r}); before = set(sys.modules)\n"
        f"{code}\nadded = set(sys.modules) - before\nimport json; print(json.dumps(sorted(added)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def forbidden_after(code: str) -> set[str]:
    return {name for name in modules_after(code) if name.split(".")[0] in FORBIDDEN}
