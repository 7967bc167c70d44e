"""Run the conformance suites and print the checklist as a table.

Usage: .venv/bin/python scripts/conformance.py [--rie]

One line a row: what it claims, and how its tests and cases went in memory, with real processes, and (with `--rie`,
for cases) against AWS's own emulator. Ends with 1 where something failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.conformance_checklist import Row, rows  # noqa: E402 - below its path

DRIVERS = {
    "machine": "tests.conformance.test_conformance_machine",
    "HTTP": "tests.conformance.test_conformance_http",
    "RIE": "tests.conformance.test_conformance_rie",
}
IN_MEMORY = "tests/unit/"
Outcomes = dict[tuple[str, str], list[str]]


def main() -> None:
    found = rows()
    outcomes = run_suites(found, with_rie="--rie" in sys.argv[1:])
    print(f"{'#':>3}  {'behaviour':<72} {'status':<10} {'machine':>8} {'HTTP':>8} {'RIE':>6}")
    for row in found:
        cells = [shown(outcomes_of(row, column, outcomes)) for column in DRIVERS]
        start = f"{row.number:>3}  {shortened(row.behaviour):<72} {row.status:<10}"
        print(f"{start} {cells[0]:>8} {cells[1]:>8} {cells[2]:>6}")
    flat = [outcome for each in outcomes.values() for outcome in each]
    print(f"\n{flat.count('passed')} passed, {flat.count('failed')} failed, {flat.count('skipped')} skipped")
    sys.exit(1 if "failed" in flat else 0)


def run_suites(found: Iterable[Row], *, with_rie: bool) -> Outcomes:
    """Outcomes by module and test, without parameters in the name."""
    nodes = sorted({node for row in found for node in row.tests} | {"tests/conformance"})
    with tempfile.TemporaryDirectory(prefix="tailrace-conformance-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *nodes]
        if with_rie:
            command += ["-m", "slow or not slow"]
        subprocess.run(command, cwd=ROOT, check=False, stdout=sys.stderr)
        outcomes: Outcomes = {}
        for case in ET.parse(report).iter("testcase"):
            key = (case.get("classname", ""), case.get("name", ""))
            outcomes.setdefault(key, []).append(outcome_of(case))
    return outcomes


def outcome_of(case: ET.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"


def outcomes_of(row: Row, column: str, outcomes: Outcomes) -> list[str]:
    """Of the row's cases by that driver, and of its tests: those in memory, or those with sockets and processes."""
    found = []
    for (module, name), each in outcomes.items():
        if module == DRIVERS[column] and name.partition("[")[2].removesuffix("]") in row.cases:
            found += each
    for node in row.tests:
        if column == ("machine" if node.startswith(IN_MEMORY) else "HTTP"):
            path, _, test = node.partition("::")
            module = path.removesuffix(".py").replace("/", ".")
            for (where, name), each in outcomes.items():
                if where == module and name.partition("[")[0] == test:
                    found += each
    return found


def shown(found: list[str]) -> str:
    if not found:
        return "-"
    failed = found.count("failed")
    return f"{failed} FAILED" if failed else f"{found.count('passed')} ok" if "passed" in found else "skipped"


def shortened(text: str) -> str:
    return text if len(text) <= 72 else text[:69] + "..."


if __name__ == "__main__":
    main()
