"""What random faults have found, each as a plan of its own that finds it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.namespaces import needs_namespaces
from support.proof_checks import violations
from support.proof_plan import Call, Harm, InSend, Plan, Weather
from support.proof_run import Authority, Evidence, authority, run_plan

KILL = Harm("kill", {"process": "tailrace"})


@pytest.fixture(scope="module")
def tls() -> Authority:
    return authority()


def call(number: int, lines: int = 3, end: str = "return", within: tuple[Harm, ...] = ()) -> Call:
    return Call(number, lines, width=50, work_ms=150, end=end, after_lines=1, within=within)


def proven(plan: Plan, folder: Path, tls: Authority) -> Evidence:
    evidence = run_plan(plan, folder, tls)
    assert violations(evidence) == []
    return evidence


@needs_namespaces
def test_a_full_disk_does_not_confuse_the_account_of_one_process_with_that_of_another(
    tmp_path: Path, tls: Authority
) -> None:
    full = Harm("disk-full", {"at": "invoke"})
    steps = (full, call(1, lines=30, within=(KILL,)), call(2, end="hang"), call(3))
    plan = Plan(0, ["http", "file"], {"TAILRACE_FLUSH": "continuous"}, False, True, steps, "at once")
    proven(plan, tmp_path, tls)


def test_a_sender_that_is_given_up_at_the_end_does_not_make_its_process_one_that_was_killed(
    tmp_path: Path, tls: Authority
) -> None:
    """The back end holds a request beyond the end of the process, and then cuts it."""
    steps = (
        call(1),
        Weather(0, "hanging"),
        call(2, end="hang"),
        Weather(0, "fine"),
        call(3),
        call(4),
    )
    plan = Plan(0, ["s3"], {"TAILRACE_FLUSH": "continuous"}, False, False, steps, "at once")
    evidence = proven(plan, tmp_path, tls)

    (target,) = evidence.targets
    assert target.row["dropped"] == {}
    assert evidence.acknowledged == set(target.lines)


def test_a_batch_from_disk_that_was_on_its_way_when_its_process_was_killed_counts_as_sent_again(
    tmp_path: Path, tls: Authority
) -> None:
    """The server had taken it, and nobody was left who could hear that."""
    steps = (
        call(1),
        Weather(0, "down"),
        Call(2, 400, 900, 50, "return"),
        Weather(0, "fine"),
        Call(3, 5, 50, 1000, "return", in_send=InSend(0, "kill", "taken", after=10)),
        call(4),
        call(5),
    )
    small = {"TAILRACE_FLUSH": "continuous", "TAILRACE_QUEUE_MAX_BYTES": "65536", "TAILRACE_END_WAIT_MS": "200"}
    evidence = proven(Plan(0, ["http"], small, False, False, steps, "well"), tmp_path, tls)

    (target,) = evidence.targets
    assert evidence.happened["kill in a send, taken"] == 1
    assert 0 < target.n_repeated <= target.row["resentUnconfirmed"]
