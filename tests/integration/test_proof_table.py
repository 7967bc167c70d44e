"""docs/explanation/failures.md keeps its word: each failure has a row, and each row names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "failures.md"
FAILURES = (
    "Destination down", "Destination slow", "Throttling", "Rejecting", "TLS failure", "DNS failure", "Disk full",
    "Memory full", "Reset", "Timeout", "Kill",
)  # fmt: skip
_LINK = re.compile(r"\[`(test_\w+)`\]\(([^)#]+)\)")


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| **")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def links() -> list[tuple[str, str]]:
    return _LINK.findall(PAGE.read_text())


@pytest.mark.parametrize("failure", FAILURES)
def test_each_failure_says_what_it_costs_and_what_holds_it_to_that(failure: str) -> None:
    found = [row for row in rows() if row[0].startswith(f"**{failure}")]
    assert found
    for _, records, time, held_by in found:
        assert records
        assert time
        assert _LINK.search(held_by)


@pytest.mark.parametrize(("name", "link"), sorted(set(links())))
def test_the_tests_that_it_names_exist(name: str, link: str) -> None:
    tree = ast.parse((PAGE.parent / link).resolve().read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert name in names


def test_every_test_of_a_failure_is_named() -> None:
    here = Path(__file__).parent
    named = {name for name, _ in links()}
    for file in ("test_proof_failures.py", "test_proof_found.py"):
        assert set(re.findall(r"^def (test_\w+)", (here / file).read_text(), re.M)) <= named
