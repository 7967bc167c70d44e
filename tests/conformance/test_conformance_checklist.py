"""The checklist, the list of differences and the page made of them hold what they promise."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from support.conformance_cases import CASES
from support.conformance_checklist import (
    GRADES,
    LAST_ROW,
    ROOT,
    STATUSES,
    Row,
    differences,
    matches,
    names_a_test,
    observed,
    recordings,
    rows,
)
from tailrace.emulator.machine.policy import policy_table

ROWS = rows()
DIFFERENCES = differences()
OBSERVED = observed()
CASES_BY_NAME: dict[str, dict[str, Any]] = {case["case"]: case for case in CASES}
VOLATILE = ("lambda-extension-identifier",)


def test_every_row_is_there_once_and_in_order() -> None:
    assert [row.number for row in ROWS] == list(range(1, LAST_ROW + 1))


@pytest.mark.parametrize("row", ROWS, ids=[f"row-{row.number}" for row in ROWS])
def test_a_row_says_what_it_claims_and_who_observes_it(row: Row) -> None:
    assert row.status in STATUSES
    assert set(row.grade.split(", ")) <= set(GRADES)
    assert [node for node in row.tests if not names_a_test(node)] == []
    assert [name for name in row.cases if name not in CASES_BY_NAME] == []
    if row.status == "not built":
        assert row.note
        assert not row.tests
    else:
        assert row.tests or row.cases, "nobody observes it"
    if row.status == "policy":
        known = {policy.name for policy in policy_table()}
        assert set(row.note.split(", ")) <= known
    if row.status == "differs":
        assert row.note


@pytest.mark.parametrize("recording", recordings(), ids=lambda recording: recording["case"])
def test_what_was_recorded_is_a_case_or_said_to_differ_or_observed_by_a_test(recording: dict[str, Any]) -> None:
    name = recording["case"]
    if any(matches(name, each.recorded) for each in DIFFERENCES):
        return
    case = CASES_BY_NAME.get(name)
    parent = CASES_BY_NAME.get(name.removesuffix("/then-invoke"), {}) if name.endswith("/then-invoke") else {}
    if "invoker" in parent:
        assert parent["invoker"]["body"] == recording["body"]
    elif case is None:
        assert [each for each in OBSERVED if matches(name, each.recorded)], "nobody says what became of it"
    else:
        assert_equal_but_for_ids(case["response"], recording)


def assert_equal_but_for_ids(expected: dict[str, Any], recording: dict[str, Any]) -> None:
    """The case's expectation is what was recorded; `errorType` alone where the text is the words of a Go library."""
    assert expected["status"] == recording["status"]
    theirs = {name.lower(): value for name, value in recording["headers"].items()}
    ours = {name.lower(): value for name, value in expected.get("headers", {}).items()}
    for name, value in ours.items():
        assert name in VOLATILE or theirs[name] == value
    if "errorType" in expected:
        assert f'"errorType":"{expected["errorType"]}"' in recording["body"]
    elif "{" not in expected["body"].removeprefix("{") and "functionName" not in expected["body"]:
        assert expected["body"] == recording["body"]
    elif "functionName" not in expected["body"]:
        before, _, rest = expected["body"].partition("{ext-a}")
        assert recording["body"].startswith(before)
        assert recording["body"].endswith(rest)


def test_every_entry_of_the_differences_is_about_recordings_and_names_tests_that_exist() -> None:
    names = [recording["case"] for recording in recordings()]
    missing = [node for each in OBSERVED for node in each.tests if not names_a_test(node)]

    assert missing == []
    for patterns in [each.recorded for each in DIFFERENCES] + [each.recorded for each in OBSERVED]:
        assert [pattern for pattern in patterns if not any(matches(name, (pattern,)) for name in names)] == []


def test_the_page_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "fidelity_page.py"))

    assert script["PAGE"].read_text() == script["page"](), "run scripts/fidelity_page.py"
