"""Random faults at the whole agent: whatever goes wrong, no record is both acknowledged and lost without a reason, and
no destination that knows what it has gets anything twice.

A failing seed is named, and gives the same plan again: ``TAILRACE_PROOF_SEEDS=4711 pytest -k random``. It takes seeds
and ranges (``1-300 4711``). What the operating system makes of the plan may differ from run to run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.namespaces import MISSING
from support.proof_checks import violations
from support.proof_plan import plan_of
from support.proof_run import Authority, authority, run_plan

FEW = range(1, 11)
MANY = range(11, 311)


def chosen_seeds() -> list[int]:
    """What TAILRACE_PROOF_SEEDS says, else a few."""
    seeds: list[int] = []
    for word in os.environ.get("TAILRACE_PROOF_SEEDS", "").split():
        first, _, last = word.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds or list(FEW)


@pytest.fixture(scope="module")
def tls() -> Authority:
    return authority()


def prove(seed: int, folder: Path, tls: Authority) -> None:
    plan = plan_of(seed, namespaces=not MISSING)
    evidence = run_plan(plan, folder, tls)
    found = violations(evidence)
    if found:
        told = [json.dumps(line) for line in evidence.said]
        pytest.fail("\n".join([f"seed {seed}", *found, "", f"{plan}", "", *told]), pytrace=False)


@pytest.mark.parametrize("seed", chosen_seeds())
def test_nothing_is_lost_without_a_reason_in_random_weather(seed: int, tmp_path: Path, tls: Authority) -> None:
    prove(seed, tmp_path, tls)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_nor_in_much_of_it(seed: int, tmp_path: Path, tls: Authority) -> None:
    prove(seed, tmp_path, tls)
