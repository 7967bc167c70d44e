"""Running `tailrace` as a user does: the installed program, in a process of its own, bounded in time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TAILRACE = Path(sys.executable).with_name("tailrace")
LIMIT_S = 90


def tailrace(
    *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """The finished command; its output as text."""
    return subprocess.run(
        [TAILRACE, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=env,
        cwd=cwd,
        input=stdin,
        timeout=LIMIT_S,
    )


def run_json(
    *arguments: str | Path, exit_code: int = 0, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> dict[str, Any]:
    """The document of `tailrace run --json ...`, after checking the exit code."""
    result = tailrace("run", *arguments, "--json", env=env, cwd=cwd)
    assert result.returncode == exit_code, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def variables(given: Mapping[str, str]) -> list[str]:
    """`given` as options of the command line."""
    return [word for name, value in given.items() for word in ("--env", f"{name}={value}")]


def write_function(folder: Path, source: str, module: str = "app") -> Path:
    """A function's code folder with one module."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(source)
    return folder


def lines_of(records: Sequence[Mapping[str, Any]], kind: str) -> list[Any]:
    """The `record` of every event of one type."""
    return [record["record"] for record in records if record["type"] == kind]


def account(row: Mapping[str, Any]) -> int:
    """What a ledger row adds up to: equal to `received` when the books are right."""
    simple = sum(row[name] for name in ("delivered", "held", "filtered", "sampled", "rejected", "deadLettered"))
    return int(simple + sum(row["dropped"].values()))
