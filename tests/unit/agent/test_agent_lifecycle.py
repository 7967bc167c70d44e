"""What the agent does with an event: a table of facts and steps, no thread and no clock."""

from __future__ import annotations

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.agent.lifecycle import (
    INVOKE,
    SHUTDOWN,
    UNSTATED_DEADLINE_S,
    AwaitReport,
    AwaitRuntimeDone,
    AwaitSilence,
    Begin,
    CallNext,
    CloseAndLeave,
    Flush,
    Lifecycle,
    LifecycleEvent,
    Step,
    event_of,
)
from tailrace.pipeline.flush import POLICIES, FlushSettings, flush_policy

NOW_S = 1000.0


class Machine(Lifecycle):
    """One for whose destinations all is well, where a test does not say otherwise."""

    def started(self, event: LifecycleEvent, now_s: float = NOW_S, any_up: bool = True, is_warm: bool = True) -> Step:
        """Begin `event`; the step after the beginning itself."""
        step = self.begin(event, now_s, any_up, is_warm)
        return self.after(step, True, now_s, any_up) if isinstance(step, Begin) else step


def lifecycle(telemetry: bool = True, policy: str = "end", **settings: int) -> Machine:
    return Machine(flush_policy(policy, FlushSettings(**settings)), telemetry)


def invoke(left_s: float = 3.0) -> LifecycleEvent:
    return LifecycleEvent(INVOKE, NOW_S + left_s, "request-1")


def shutdown(left_s: float = 2.0) -> LifecycleEvent:
    return LifecycleEvent(SHUTDOWN, NOW_S + left_s, reason="spindown")


def test_an_event_is_read_with_its_deadline_as_a_monotonic_moment() -> None:
    event = event_of({"eventType": "INVOKE", "deadlineMs": 5_500, "requestId": "r"}, wall_s=5.0, now_s=NOW_S)
    assert (event.kind, event.request_id, event.deadline_s) == (INVOKE, "r", NOW_S + 0.5)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_odd_members_of_an_event_never_raise(odd: object) -> None:
    for value in (odd, {"eventType": odd, "deadlineMs": odd, "requestId": odd, "shutdownReason": odd}):
        event = event_of(value, 5.0, NOW_S)
        assert isinstance(event.kind, str)
        assert isinstance(event.deadline_s, float)


@given(st.integers() | st.floats())
def test_a_deadline_however_absurd_is_one_that_can_be_waited_for(deadline_ms: float) -> None:
    event = event_of({"eventType": "INVOKE", "deadlineMs": deadline_ms}, 1_795_000_000.0, NOW_S)
    assert event.deadline_s - NOW_S <= 86_400.0
    machine = lifecycle()
    machine.started(event)
    event = event_of({"eventType": "SHUTDOWN", "deadlineMs": deadline_ms}, 1_795_000_000.0, NOW_S)
    assert machine.begin(event, NOW_S, True, True).until_s - NOW_S <= threading.TIMEOUT_MAX


@pytest.mark.parametrize("deadline_ms", [10**30, -(10**30), math.nan, math.inf, -5, 0])
def test_an_absurd_deadline_counts_as_none_stated(deadline_ms: float) -> None:
    assert event_of({"deadlineMs": deadline_ms}, 5.0, NOW_S).deadline_s == NOW_S + UNSTATED_DEADLINE_S


def test_an_invocation_is_waited_for_settled_flushed_and_then_next_is_called() -> None:
    machine = lifecycle()
    done = machine.started(invoke())
    assert isinstance(done, AwaitRuntimeDone)
    assert done.request_id == "request-1"
    assert done.until_s == pytest.approx(NOW_S + 2.9)
    silence = machine.after(done, True, NOW_S + 1, True)
    assert isinstance(silence, AwaitSilence)
    assert silence.quiet_s == pytest.approx(0.002)
    flush = machine.after(silence, True, NOW_S + 1.005, True)
    assert isinstance(flush, Flush)
    assert flush.reply_until_s == pytest.approx(NOW_S + 1.505)
    assert (flush.glance_s, flush.full) == (None, True)
    assert isinstance(machine.after(flush, True, NOW_S + 1.1, True), CallNext)


def test_nothing_is_waited_for_where_every_destination_is_down() -> None:
    machine = lifecycle()
    flush = machine.after(AwaitSilence(0.005, 0, NOW_S), True, NOW_S, any_up=False)
    assert isinstance(flush, Flush)
    assert (flush.until_s, flush.reply_until_s) == (NOW_S, NOW_S)
    assert not flush.full


def test_a_wait_cut_short_by_the_deadline_says_nothing_about_a_destination() -> None:
    machine = lifecycle()
    machine.started(invoke(left_s=0.3))
    flush = machine.after(AwaitSilence(0.005, 0, NOW_S), True, NOW_S, any_up=True)
    assert isinstance(flush, Flush)
    assert flush.until_s == flush.reply_until_s == pytest.approx(NOW_S + 0.2)
    assert not flush.full


def test_with_no_wait_allowed_nothing_is_held_against_a_destination() -> None:
    machine = lifecycle(end_wait_ms=0)
    machine.started(invoke())
    flush = machine.after(AwaitSilence(0.005, 0, NOW_S), True, NOW_S, any_up=True)
    assert isinstance(flush, Flush)
    assert (flush.reply_until_s, flush.full) == (NOW_S, False)


def test_an_invocation_that_does_not_end_gives_way_to_next_before_its_deadline() -> None:
    machine = lifecycle()
    done = machine.started(invoke(left_s=1.0))
    flush = machine.after(done, False, NOW_S + 0.9, True)
    assert isinstance(flush, Flush)
    assert flush.until_s <= NOW_S + 0.9 + 1e-9
    assert isinstance(machine.after(flush, False, NOW_S + 0.9, True), CallNext)


def test_without_telemetry_next_is_called_at_once_and_shutdown_leaves_at_once() -> None:
    machine = lifecycle(telemetry=False)
    assert isinstance(machine.started(invoke()), CallNext)
    assert isinstance(machine.started(shutdown()), CloseAndLeave)


def test_an_event_of_a_later_platform_leads_to_next() -> None:
    assert isinstance(lifecycle().started(LifecycleEvent("RESTORE", NOW_S + 1)), CallNext)


def test_shutdown_waits_a_little_for_the_last_report_then_closes_within_its_deadline() -> None:
    machine = lifecycle()
    machine.started(invoke())
    report = machine.started(shutdown())
    assert isinstance(report, AwaitReport)
    assert report.request_id == "request-1"
    assert report.until_s == pytest.approx(NOW_S + 0.2)
    close = machine.after(report, False, NOW_S + 0.2, True)
    assert isinstance(close, CloseAndLeave)
    assert close.until_s == pytest.approx(NOW_S + 1.8)


@pytest.mark.parametrize("left_s", [-10.0, 0.0, 0.1])
def test_a_shutdown_without_time_waits_for_nothing_but_still_tries(left_s: float) -> None:
    close = lifecycle().started(shutdown(left_s))
    assert isinstance(close, CloseAndLeave)
    assert close.until_s == pytest.approx(NOW_S + 0.05)


def test_an_invocation_says_from_when_on_lines_must_leave_as_they_come() -> None:
    begin = lifecycle().begin(invoke(left_s=10.1), NOW_S, True, True)
    assert isinstance(begin, Begin)
    assert begin.hurry_from_s == pytest.approx(NOW_S + 9.0)
    short = lifecycle().begin(invoke(left_s=0.9), NOW_S, True, True)
    assert isinstance(short, Begin)
    assert short.hurry_from_s == pytest.approx(NOW_S + 0.6)
    late = lifecycle().begin(invoke(left_s=-1.0), NOW_S, True, True)
    assert isinstance(late, Begin)
    assert late.hurry_from_s == NOW_S


@pytest.mark.parametrize("policy", ["end", "adaptive", "continuous"])
def test_for_destinations_that_are_all_down_next_is_called_at_once_under_every_policy(policy: str) -> None:
    machine = lifecycle(policy=policy)
    begin = machine.begin(invoke(), NOW_S, any_up=False, is_warm=True)
    assert isinstance(begin, Begin)
    assert (begin.attends, begin.sends, begin.leaves_when_done) == (False, True, True)
    assert begin.until_s == NOW_S
    assert isinstance(machine.after(begin, True, NOW_S, False), CallNext)


def test_adaptive_writes_at_once_glances_at_the_reply_and_writes_what_came_meanwhile() -> None:
    machine = lifecycle(policy="adaptive", settle_ms=4, reply_wait_ms=5)
    done = machine.started(invoke())
    assert isinstance(done, AwaitRuntimeDone)
    first = machine.after(done, True, NOW_S + 1, True)
    assert isinstance(first, Flush)
    assert first.until_s == pytest.approx(NOW_S + 1.5)
    assert first.glance_s == 0.005
    silence = machine.after(first, True, NOW_S + 1.001, True)
    assert isinstance(silence, AwaitSilence)
    # what the wait for the end and for the wire took counts: silence begins with the last post of the invocation
    assert (silence.quiet_s, silence.since_s) == (0.004, NOW_S)
    last = machine.after(silence, True, NOW_S + 1.004, True)
    assert isinstance(last, Flush)
    assert last.glance_s == 0.0
    assert isinstance(machine.after(last, True, NOW_S + 1.004, True), CallNext)


def test_adaptive_calls_next_at_once_when_enough_intervals_in_a_row_were_short() -> None:
    machine = lifecycle(policy="adaptive", steady_ms=1000, steady_after=2)
    held = []
    for at_s in (0.0, 0.5, 1.0, 1.5, 5.0, 5.5, 6.0):
        event = LifecycleEvent(INVOKE, NOW_S + at_s + 3, "r")
        held.append(isinstance(machine.started(event, NOW_S + at_s), AwaitRuntimeDone))
    assert held == [True, True, False, False, True, True, False]


def test_adaptive_holds_steady_traffic_while_a_destination_has_not_answered_yet_or_overlap_is_switched_off() -> None:
    cold = lifecycle(policy="adaptive", steady_after=1)
    never = lifecycle(policy="adaptive", steady_after=1, steady_ms=0)
    for tenth in range(5):
        now_s = NOW_S + tenth / 10
        assert isinstance(cold.started(invoke(), now_s, is_warm=False), AwaitRuntimeDone)
        assert isinstance(never.started(invoke(), now_s), AwaitRuntimeDone)


def test_by_default_an_environment_that_lives_for_few_invocations_holds_every_one_of_them() -> None:
    machine = lifecycle(policy="adaptive")
    held = [isinstance(machine.started(invoke(), NOW_S + n / 10), AwaitRuntimeDone) for n in range(25)]
    assert held == [True] * 20 + [False] * 5


def test_continuous_never_holds_and_the_last_lines_leave_when_they_are_here() -> None:
    machine = lifecycle(policy="continuous")
    for _ in range(3):
        begin = machine.begin(invoke(), NOW_S, True, True)
        assert isinstance(begin, Begin)
        assert (begin.sends, begin.leaves_when_done) == (True, True)
        assert isinstance(machine.after(begin, True, NOW_S, True), CallNext)


def test_periodic_writes_at_the_first_beginning_after_its_interval() -> None:
    machine = lifecycle(policy="periodic", interval_ms=10_000)
    written = []
    for at_s in (0.0, 4.0, 9.9, 10.0, 14.0, 20.5):
        now_s = NOW_S + at_s
        begin = machine.begin(LifecycleEvent(INVOKE, now_s + 3, "r"), now_s, True, True)
        assert isinstance(begin, Begin)
        assert not begin.leaves_when_done
        if begin.sends:
            assert begin.until_s == pytest.approx(now_s + 0.5)
        written.append(begin.sends)
        assert isinstance(machine.after(begin, True, now_s, True), CallNext)
    assert written == [False, False, False, True, False, True]


@given(
    policy=st.sampled_from(sorted(POLICIES)),
    left_s=st.floats(-5, 900),
    elapsed_s=st.lists(st.floats(0, 400), min_size=6, max_size=6),
    came=st.lists(st.booleans(), min_size=6, max_size=6),
    any_up=st.booleans(),
    end_wait_ms=st.integers(0, 60_000),
    settle_ms=st.integers(0, 10_000),
)
def test_every_step_of_an_invocation_ends_before_the_deadline_and_the_last_is_next(
    policy: str,
    left_s: float,
    elapsed_s: list[float],
    came: list[bool],
    any_up: bool,
    end_wait_ms: int,
    settle_ms: int,
) -> None:
    machine = lifecycle(policy=policy, end_wait_ms=end_wait_ms, settle_ms=settle_ms, interval_ms=1)
    now_s = NOW_S
    step = machine.begin(invoke(left_s), now_s, any_up, True)
    for passed_s, answer in zip(elapsed_s, came, strict=True):
        if isinstance(step, CallNext):
            break
        limit_s = max(now_s, NOW_S + left_s - 0.1)
        assert max(step.until_s, getattr(step, "reply_until_s", 0.0)) <= limit_s + 1e-6
        now_s = min(now_s + passed_s, max(step.until_s, now_s))
        step = machine.after(step, answer, now_s, any_up)
    assert isinstance(step, CallNext)
