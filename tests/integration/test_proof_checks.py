"""The proof's own checks find what they are there for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.proof_checks import violations
from support.proof_plan import TLS_WEATHERS, Harm, Plan, Weather, plan_of
from support.proof_run import Evidence, Target

LINES = [f"P:1:{n}" for n in range(5)]


NO_ROOM = {"TAILRACE_SPOOL_MAX_BYTES": "0"}  # explains a full queue


def evidence(harms: tuple[Harm, ...] = (), ends: str = "at once") -> Evidence:
    """Five lines and two platform records: one is lost with a reason, everything else is there."""
    row: dict[str, Any] = {
        "received": 7, "delivered": 6, "held": 0, "filtered": 0, "sampled": 0, "rejected": 0,
        "dropped": {"queue_full": 1}, "deadLettered": 0,
    }  # fmt: skip
    target = Target("http", row)
    for seq, text in enumerate(LINES[:4], 2):
        target.take("e1", {"type": "function", "record": f"{text}:fine:xx.", "seq": seq, "requestId": "r1"})
    for seq in (1, 7):
        target.take("e1", {"type": "platform.start", "record": {}, "seq": seq})
    plan = Plan(0, ["http"], NO_ROOM, False, False, harms, ends)
    return Evidence(plan, [target], set(LINES), n_acknowledged=7, n_given=7, n_processes=1, request_ids={"1": "r1"})


def test_where_all_is_well_nothing_is_said() -> None:
    assert violations(evidence()) == []


def row_of(found: Evidence, **changes: Any) -> None:
    found.targets[0].row = {**found.targets[0].row, **changes}


def lose(found: Evidence) -> None:
    del found.targets[0].lines[LINES[0]]
    del found.targets[0].records["e1", 2]
    row_of(found, delivered=5, filtered=1)


def bury_nothing(found: Evidence) -> None:
    lose(found)
    row_of(found, filtered=0, deadLettered=1)


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (lambda e: row_of(e, received=8), "the sum does not hold"),
        (lambda e: row_of(e, received=8, held=1), "held, but not on disk"),
        (lambda e: row_of(e, dropped={"internal_error": 1}), "dropped for internal_error"),
        (lambda e: row_of(e, dropped={"process_killed": 1}), "dropped for process_killed"),
        (lambda e: setattr(e.targets[0], "n_repeated", 3), "3 records came again after they had been taken, but 0"),
        (lambda e: row_of(e, received=6, dropped={}), "7 records were acknowledged, but 6 counted"),
        (lambda e: row_of(e, received=8, dropped={"queue_full": 2}), "only 7 were given"),
        (lambda e: row_of(e, delivered=7, dropped={}), "7 records are booked as delivered, but 6 are there"),
        (lambda e: row_of(e, delivered=4, filtered=2), "6 records are there, more than"),
        (lose, "2 lines are lost, 1 of them with a reason"),
        (bury_nothing, "1 records are booked as dead-lettered, but 0 are there"),
        (lambda e: e.targets[0].records.update([("e1", 2)]), "1 records are there more than once"),
        (lambda e: e.targets[0].lines.update([LINES[0]]), "1 lines are there more than once"),
        (lambda e: e.targets[0].conflicts.append("k"), "one key was given to different contents"),
        (lambda e: e.targets[0].requests.add(("1", "r2")), "lines of one call are said to be of another"),
        (
            lambda e: e.targets[0].take("e2", {"type": "function", "record": "P:1:1:fine:x", "seq": 1}),
            "not as they were",
        ),
        (lambda e: setattr(e.targets[0], "row", {}), "the ledger has no row"),
        (lambda e: e.said.append({"message": "a thread of the agent failed (X)"}), "a fault of its own"),
        (lambda e: e.problems.append("call 1 was not over"), "call 1 was not over"),
    ],
)
def test_each_thing_that_must_not_be_is_said(forge: Callable[[Evidence], object], said: str) -> None:
    found = evidence()
    forge(found)
    assert any(said in sentence for sentence in violations(found)), violations(found)


def test_lines_that_the_platform_repeated_may_be_there_as_often_but_their_records_may_not() -> None:
    found = evidence((Harm("telemetry-duplicate"),))
    found.targets[0].take("e1", {"type": "function", "record": f"{LINES[0]}:fine:x.", "seq": 8})
    row_of(found, received=8, delivered=7)
    found.n_given = 7
    assert violations(found) == []
    found.targets[0].records["e1", 8] += 1
    assert any("more than once" in sentence for sentence in violations(found))


def test_a_reason_counts_only_where_the_plan_can_explain_it() -> None:
    killed = evidence((Harm("kill", {"process": "tailrace"}),))
    row_of(killed, dropped={"process_killed": 1})
    assert violations(killed) == []

    for ends, is_explained in (("well", False), ("suddenly", True)):
        found = evidence(ends=ends)
        found.plan = Plan(0, ["http"], {}, False, False, (), ends)
        row_of(found, dropped={"shutdown": 1})
        assert (violations(found) == []) is is_explained


def test_what_a_killed_process_held_may_be_missing_only_where_it_said_that_nobody_would_count_it() -> None:
    found = evidence((Harm("kill", {"process": "tailrace"}),))
    row_of(found, received=6, delivered=5)
    assert any("7 records were acknowledged, but 6 counted" in sentence for sentence in violations(found))
    found.said.append({"message": "the folder cannot be used: they wait in memory only, and a kill is not counted"})
    assert violations(found) == []

    alive = evidence()
    alive.said = list(found.said)
    row_of(alive, received=6, delivered=5)
    assert violations(alive) != []


def test_what_came_again_is_counted() -> None:
    counted = evidence()
    counted.targets[0].n_repeated = 3
    row_of(counted, resentUnconfirmed=3)
    assert violations(counted) == []


def test_a_seed_means_one_plan_and_seeds_differ() -> None:
    assert plan_of(5, namespaces=True) == plan_of(5, namespaces=True)
    assert len({str(plan_of(seed).steps) for seed in range(50)}) == 50


def test_plans_contain_everything_that_can_go_wrong() -> None:
    plans = [plan_of(seed, namespaces=True) for seed in range(1, 311)]
    harms = {harm.what for plan in plans for harm in plan.harms}
    assert harms == {
        "kill", "telemetry-late", "telemetry-reset", "telemetry-5xx", "telemetry-duplicate", "subscriber-pause",
        "cut-connections", "disk-full",
    }  # fmt: skip
    assert {plan.ends for plan in plans} == {"well", "suddenly", "at once", "killed"}
    assert {call.end for plan in plans for call in plan.calls} == {"return", "raise", "exit", "hang"}
    assert any(call.stands_still_s for plan in plans for call in plan.calls)
    in_sends = [call.in_send for plan in plans for call in plan.calls if call.in_send is not None]
    assert {(harm.what, harm.then) for harm in in_sends} == {
        ("kill", "taken"), ("kill", "cut"), ("freeze", "taken"), ("freeze", "cut"), ("freeze", "late"),
    }  # fmt: skip
    assert {kind for plan in plans for kind in plan.sinks} == {"http", "https", "s3", "file"}
    assert {step.name for plan in plans for step in plan.steps if isinstance(step, Weather)} == set(TLS_WEATHERS)
