"""Random faults at the whole agent: whatever goes wrong, no record is both acknowledged and lost without a reason, and
no destination that knows what it has gets anything twice.

A failing seed is named, and gives the same plan again: ``TAILRACE_PROOF_SEEDS=4711 pytest -k random``. It takes seeds
and ranges (``1-300 4711``). What the operating system makes of the plan may differ from run to run.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from support.namespaces import MISSING
from support.proof_checks import violations
from support.proof_plan import plan_of
from support.proof_run import Authority, authority, run_plan

# Chosen so that each of the things below happens in two of them at least.
FEW = (1, 5, 7, 11, 13, 18, 22, 23, 27, 30, 32, 38)
MANY = sorted({*range(1, 301)}.difference(FEW))
# What must really have happened in the few, and not only have been planned.
EACH = (
    "kill tailrace", "kill runtime", "kill in a send, taken", "kill in a send, cut", "freeze in a send, taken",
    "freeze in a send, cut", "freeze in a send, late", "cut-connections", "subscriber-pause tailrace", "telemetry-late",
    "telemetry-reset", "telemetry-5xx", "telemetry-duplicate", "spool used", "disk-full", "no space left",
)  # fmt: skip


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


@pytest.fixture(scope="module")
def happened() -> dict[int, Counter[str]]:
    """What really went wrong in the runs so far, by seed."""
    return {}


def prove(seed: int, folder: Path, tls: Authority) -> Counter[str]:
    """What went wrong on purpose, where nothing else did."""
    plan = plan_of(seed, namespaces=not MISSING)
    evidence = run_plan(plan, folder, tls)
    found = violations(evidence)
    if found:
        told = [json.dumps(line) for line in evidence.said]
        again = f'TAILRACE_PROOF_SEEDS="{seed}" pytest tests/integration/test_proof_faults.py -k random'
        pytest.fail("\n".join([f"seed {seed}: {again}", *found, "", f"{plan}", "", *told]), pytrace=False)
    return +evidence.happened


@pytest.mark.parametrize("seed", chosen_seeds())
def test_nothing_is_lost_without_a_reason_in_random_weather(
    seed: int, tmp_path: Path, tls: Authority, happened: dict[int, Counter[str]]
) -> None:
    happened[seed] = prove(seed, tmp_path, tls)


def test_each_thing_that_shall_go_wrong_did(happened: dict[int, Counter[str]]) -> None:
    """A proof in which nothing happens proves nothing. This counts what the runs before it came to."""
    if MISSING or not happened.keys() >= set(FEW):
        pytest.skip("not all of the few seeds have run as they were chosen")
    total = sum(happened.values(), Counter[str]())
    assert [name for name in EACH if not total[name]] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_nor_in_much_of_it(seed: int, tmp_path: Path, tls: Authority) -> None:
    prove(seed, tmp_path, tls)
