"""The conformance checklist and the differences from AWS's own emulator, as data."""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "conformance"
LAST_ROW = 137
STATUSES = ("conforms", "policy", "differs", "not built")
GRADES = {"S": "source", "D": "documentation", "R": "recorded on the service", "U": "unverified"}
_TEST = re.compile(r"^\s*(?:async )?def (test_\w+)\(", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """One numbered row. `tests` are pytest node ids, `cases` names of conformance cases."""

    number: int
    area: str
    behaviour: str
    grade: str
    source: str
    status: str
    note: str = ""
    tests: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """What is deliberately not as AWS's emulator has it; `recorded` are patterns of names."""

    recorded: tuple[str, ...]
    theirs: str
    ours: str
    why: str


@dataclass(frozen=True)
class Observed:
    """Recordings that tests observe which are no cases."""

    recorded: tuple[str, ...]
    tests: tuple[str, ...]


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / name).read_text())


def _frozen(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}


def rows() -> list[Row]:
    return [Row(**_frozen(entry)) for entry in _load("checklist.toml")["row"]]


def differences() -> list[Difference]:
    return [Difference(**_frozen(entry)) for entry in _load("differences.toml")["difference"]]


def observed() -> list[Observed]:
    return [Observed(**_frozen(entry)) for entry in _load("differences.toml")["observed"]]


def recordings() -> list[dict[str, Any]]:
    """What AWS's emulator answered: `case`, and `status`, `headers` and `body` of the response."""
    return [json.loads(line) for line in (FOLDER / "recordings.jsonl").read_text().splitlines()]


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def names_a_test(node: str) -> bool:
    """Whether a node id names a test function of this tree."""
    path, _, name = node.partition("::")
    file = ROOT / path
    return file.is_file() and name.partition("[")[0] in _TEST.findall(file.read_text())
