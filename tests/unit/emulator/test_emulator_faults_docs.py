"""The reference page knows every fault, moment and parameter, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from tailrace.emulator.faults import kinds
from tailrace.emulator.faults.plan_file import parse_plan

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "fault-plan.md").read_text()


def rows(title: str) -> dict[str, str]:
    """The rows of a section's table by their first cell."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", section, re.MULTILINE))


def test_every_moment_is_told_in_the_same_words() -> None:
    assert rows("Moments") == dict(kinds.MOMENTS)


def test_every_fault_is_listed_with_its_parameters_and_their_defaults() -> None:
    listed = rows("Faults")
    assert set(listed) == set(kinds.KINDS)
    for name, kind in kinds.KINDS.items():
        parameters = listed[name].rsplit("|", 1)[1]
        assert re.findall(r"`([a-z_]+)` \(", parameters) == list(kind.parameters)
        for key, parameter in kind.parameters.items():
            default = str(parameter.default).lower() if not isinstance(parameter.default, str) else parameter.default
            assert re.search(rf"`{key}` \(`?{default}\b", parameters), key


def test_the_plans_of_the_pages_are_plans() -> None:
    import tomllib

    pages = PAGE + (ROOT / "docs" / "how-to" / "inject-faults.md").read_text()
    plans = [parse_plan(tomllib.loads(text)) for text in re.findall(r"```toml\n(.*?)```", pages, re.DOTALL)]

    assert [len(plan.faults) for plan in plans] == [2, 4]
