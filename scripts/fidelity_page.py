"""Write docs/reference/fidelity.md from the conformance checklist, the policies and the list of differences.

Usage: .venv/bin/python scripts/fidelity_page.py
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.conformance_checklist import STATUSES, Difference, Row, differences, rows  # noqa: E402 - below its path
from tailrace.emulator.machine.policy import policy_table  # noqa: E402 - as above

PAGE = ROOT / "docs" / "reference" / "fidelity.md"
HEAD = """# Fidelity, row by row

What the local environment claims about Lambda, with the evidence, and where it differs. This page is written by
`scripts/fidelity_page.py` from [the checklist](../../tests/conformance/checklist.toml), the policies and
[the differences](../../tests/conformance/differences.toml). A test holds that every row names
a test that exists, or says why there is none. [The explanation](../explanation/fidelity.md) is shorter.

Evidence: **S** read in the source of AWS's emulators, **D** documented, **R** recorded on the service, **U**
unverified. Numbers up to 106 are rows of lambda-platform.md 11, the others of lambda-platform-2026.md 10.
"""
POLICIES = """## Policies

What nobody outside can verify, what sources disagree about, or what can be configured on the service. Each can be set
by `--policy NAME=VALUE` or in `tailrace.toml` under `[emulator.policy]`.
"""
DIFFERENCES = """## Deliberate differences from AWS's own emulator

The recordings of that emulator are compared request by request; whatever does not stand here is the same, byte for
byte but for ids, dates and ports.
"""


def page() -> str:
    """The whole page."""
    found = rows()
    counts = Counter(row.status for row in found)
    summary = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    sections = [HEAD, f"{len(found)} rows: {summary}.\n"]
    areas = dict.fromkeys(row.area for row in found)
    sections += [area_section(area, [row for row in found if row.area == area]) for area in areas]
    sections += [POLICIES, *policy_rows(), "", DIFFERENCES, *difference_rows(differences())]
    return "\n".join(sections) + "\n"


def area_section(area: str, found: Iterable[Row]) -> str:
    lines = [
        f"## {area[0].upper()}{area[1:]}\n",
        "| # | On Lambda | Here | Evidence | Observed by |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.number} | {cell(row.behaviour)} | {standing(row)} | {evidence(row)} | {observed_by(row)} |"
        for row in found
    ]
    return "\n".join([*lines, ""])


def standing(row: Row) -> str:
    if row.status == "policy":
        return "policy " + ", ".join(f"`{name}`" for name in row.note.split(", "))
    return f"**{row.status}**: {cell(row.note)}" if row.note else row.status


def evidence(row: Row) -> str:
    return f"{row.grade}: {cell(row.source)}"


def observed_by(row: Row) -> str:
    """Names of tests and cases, short enough for a table."""
    tests = [f"`{node.partition('::')[2].removeprefix('test_')}`" for node in row.tests]
    cases = [f"case `{name}`" for name in row.cases]
    return "<br>".join(tests + cases)


def policy_rows() -> Iterator[str]:
    yield "| Policy | Default | Meaning | Allowed | Source |"
    yield "|---|---|---|---|---|"
    for row in policy_table():
        texts = (cell(row.meaning), cell(row.allowed), cell(row.source))
        yield f"| `{row.name}` | `{cell(row.default)}` | {' | '.join(texts)} |"


def difference_rows(found: Iterable[Difference]) -> Iterator[str]:
    yield "| AWS's emulator | Here | Why | Recordings |"
    yield "|---|---|---|---|"
    for each in found:
        names = ", ".join(f"`{name}`" for name in each.recorded)
        yield f"| {cell(each.theirs)} | {cell(each.ours)} | {cell(each.why)} | {names} |"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
