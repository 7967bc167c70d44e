"""Plans of faults: what is allowed, what is refused and how, and dice that fall the same way again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.emulator.faults import kinds
from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.faults.plan import Decider, FaultPlan, Moment, check_fault
from tailrace.emulator.faults.plan_file import parse_plan, read_plan
from tailrace.errors import ConfigError

PLAN = """
seed = 42

[[fault]]
what = "kill"
process = "counter"
when = "invoke:2"

[[fault]]
what = "telemetry-5xx"
status = 500
when = { probability = 0.25, count = "all" }

[[fault]]
what = "telemetry-late"
process = "counter"
delay_ms = 7000
when = { invocation = 3, count = 2 }

[[fault]]
what = "cut-connections"
"""


def test_a_plan_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)

    assert read_plan(path) == FaultPlan(
        (
            Fault("kill", process="counter", at="invoke:2"),
            Fault("telemetry-5xx", status=500, probability=0.25, count="all"),
            Fault("telemetry-late", process="counter", delay_ms=7000, at="telemetry:3", count=2),
            Fault("cut-connections", at="freeze"),
        ),
        seed=42,
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seed = ]\nx", r"plan.toml: is not TOML: .*line 1, column 8"),
        ('seed = "a"', r"plan.toml, seed: 'a' is no whole number; for example seed = 42"),
        ("faults = 1", r"plan.toml, faults: is unknown; a plan has seed, and \[\[fault\]\] for each fault"),
        ("fault = 1", r"plan.toml, fault: is no list of tables; write \[\[fault\]\] above each fault"),
        ("[[fault]]", r"plan.toml, fault 1, what: is missing; for example"),
        (
            '[[fault]]\nwhat = "telemetry-rest"',
            r'fault 1 \(telemetry-rest\), what: "telemetry-rest" is unknown \(did you mean telemetry-reset\?\)',
        ),
        (
            '[[fault]]\nwhat = "cut-connections"\n[[fault]]\nwhat = "kill"\nprocess = "a"\nwhen = "invok:2"',
            r'fault 2 \(kill\), when: "invok" is no moment \(did you mean invoke\?\); one of init, ',
        ),
        ('[[fault]]\nwhat = "kill"\nwhen = "invoke"', r"fault 1 \(kill\), process: kill does not say which; give"),
        (
            '[[fault]]\nwhat = "telemetry-reset"\nwhen = "invoke"',
            r'when: telemetry-reset cannot happen at "invoke"; one of telemetry',
        ),
        (
            '[[fault]]\nwhat = "telemetry-late"\ndelay_s = 1',
            r"delay_s: is no parameter of telemetry-late \(did you mean delay_ms\?\); one of delay_ms",
        ),
        (
            '[[fault]]\nwhat = "telemetry-late"\ndelay_ms = 1.5',
            r"delay_ms: 1.5 is not possible; a whole number from 0 to",
        ),
        (
            '[[fault]]\nwhat = "telemetry-5xx"\nstatus = 404',
            r"status: 404 is not possible; a whole number from 500 to 599",
        ),
        (
            '[[fault]]\nwhat = "telemetry-reset"\nreaches_subscriber = 1',
            r"reaches_subscriber: 1 is not possible; true or false",
        ),
        ('[[fault]]\nwhat = "telemetry-reset"\nwhen = { count = 0 }', r"when.count: 0 is no count; a whole number"),
        (
            '[[fault]]\nwhat = "telemetry-reset"\nwhen = { probability = 2 }',
            r"when.probability: 2 is out of range; more than 0, at most 1",
        ),
        ('[[fault]]\nwhat = "telemetry-reset"\nwhen = { often = 2 }', r"when.often: is unknown; one of moment, "),
        ('[[fault]]\nwhat = "telemetry-reset"\nwhen = 2', r"when: 2 is neither text nor a table"),
        (
            '[[fault]]\nwhat = "kill"\nprocess = "a"\nwhen = { invocation = 2 }',
            r"when.moment: is missing; an invocation's number needs its moment",
        ),
        (
            '[[fault]]\nwhat = "telemetry-reset"\nwhen = { invocation = -1 }',
            r"when.invocation: -1 is no number of an invocation",
        ),
        (
            '[[fault]]\nwhat = "telemetry-reset"\ncount = 2',
            r"key: .count. is not one of a fault; it belongs into when = \{ count",
        ),
        (
            '[[fault]]\nwhat = "kill"\nprocess = "a"\nsignal = "SIGSTOP"',
            r'signal: "SIGSTOP" is not possible; one of SIG',
        ),
        ('[[fault]]\nwhat = "kill"\nprocess = 3', r"process: 3 is no name"),
    ],
)
def test_a_bad_plan_names_the_file_the_key_what_was_found_and_what_is_allowed(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=sentence) as caught:
        read_plan(path)
    assert str(caught.value).startswith(str(path))


def test_a_plan_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.toml: cannot be read: no such file or directory"):
        read_plan(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"latin.toml: is not UTF-8 text"):
        read_plan(tmp_path / "latin.toml")


def test_processes_and_isolation_must_be_able_to_have_the_fault() -> None:
    plan = FaultPlan((Fault("kill", process="conter", at="invoke"),))
    with pytest.raises(ConfigError, match=r'fault 1, process: there is no "conter"; one of runtime, counter'):
        plan.check(["counter"], "process")
    with pytest.raises(ConfigError, match=r"fault 1, what: disk-full needs .*use --isolation namespace"):
        FaultPlan((Fault("disk-full", at="invoke"),)).check([], "process")
    FaultPlan((Fault("disk-full", at="invoke"),)).check([], "namespace")
    with pytest.raises(ConfigError, match=r"fault 1, when: is missing; kill has to know its moment; one of init"):
        FaultPlan((Fault("kill", process="runtime"),)).check([], "process")
    with pytest.raises(ConfigError, match=r"process: the runtime is no subscriber"):
        check_fault(Fault("subscriber-pause", process="runtime"), ["runtime"], "process")
    FaultPlan((Fault("telemetry-late", process="an-internal-extension"),)).check([], "process")


def moments(n_posts: int) -> list[Moment]:
    return [Moment(kinds.TELEMETRY, "a", number) for number in range(n_posts)]


def decisions(decider: Decider, process: str, times: int) -> list[bool]:
    return [bool(decider.decide(Moment(kinds.TELEMETRY, process, 1))) for _ in range(times)]


@given(st.integers())
def test_the_same_seed_gives_the_same_decisions_whatever_other_processes_do(seed: int) -> None:
    plan = FaultPlan((Fault("telemetry-5xx", probability=0.5, count="all"),), seed)
    alone, among_others = Decider(plan), Decider(plan)
    expected = decisions(alone, "a", 40)
    found = []
    for number in range(40):
        decisions(among_others, "b", number % 3)
        found += decisions(among_others, "a", 1)

    assert found == expected


def test_another_seed_gives_other_decisions_and_the_probability_holds() -> None:
    fault = Fault("telemetry-5xx", probability=0.25, count="all")
    runs = [decisions(Decider(FaultPlan((fault,), seed)), "a", 400) for seed in range(3)]

    assert runs[0] != runs[1] != runs[2]
    assert all(60 < sum(run) < 140 for run in runs)


def test_a_fault_happens_as_often_as_its_count_says_and_one_of_telemetry_at_a_time() -> None:
    first, second = Fault("telemetry-reset", count=2), Fault("telemetry-late", count=1)
    decider = Decider(FaultPlan((first, second)))

    assert [decider.decide(moment) for moment in moments(4)] == [[first], [first], [second], []]


def test_a_fault_waits_for_its_invocation_and_its_process() -> None:
    fault = Fault("kill", process="a", at="next:2")
    decider = Decider(FaultPlan((fault,)))

    assert decider.decide(Moment(kinds.NEXT, "a", 1)) == []
    assert decider.decide(Moment(kinds.NEXT, "b", 2)) == []
    assert decider.never_happened == [fault]
    assert decider.decide(Moment(kinds.NEXT, "a", 2)) == [fault]
    assert decider.never_happened == []


def test_a_moment_of_the_environment_is_one_of_every_process() -> None:
    fault = Fault("kill", process="a", at="response:1")
    assert Decider(FaultPlan((fault,))).decide(Moment(kinds.RESPONSE, "", 1)) == [fault]


@pytest.mark.parametrize("name", kinds.KINDS)
def test_every_fault_can_be_written_down_and_read_again(name: str) -> None:
    values: dict[str, Any] = {"process": "a"} if kinds.KINDS[name].needs_process else {}
    fault = Fault(name, **values)
    table: dict[str, Any] = fault.as_table()

    assert Fault(**table) == fault
    assert name in str(fault)
    assert parse_plan({"fault": [{"what": name, **values}]}).faults == (fault,)
