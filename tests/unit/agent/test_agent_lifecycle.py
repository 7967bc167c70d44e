"""What the agent does with an event: a table of facts and steps, no thread and no clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.agent.lifecycle import (
    INVOKE,
    SHUTDOWN,
    AwaitReport,
    AwaitRuntimeDone,
    AwaitSilence,
    CallNext,
    CloseAndLeave,
    Flush,
    Lifecycle,
    LifecycleEvent,
    event_of,
)
from tailrace.pipeline.flush import EndPolicy, FlushSettings

NOW_S = 1000.0


def lifecycle(telemetry: bool = True, **settings: int) -> Lifecycle:
    return Lifecycle(EndPolicy(FlushSettings(**settings)), telemetry)


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


def test_an_invocation_is_waited_for_settled_flushed_and_then_next_is_called() -> None:
    machine = lifecycle()
    done = machine.begin(invoke(), NOW_S)
    assert isinstance(done, AwaitRuntimeDone)
    assert done.request_id == "request-1"
    assert done.until_s == pytest.approx(NOW_S + 2.9)
    silence = machine.after(done, True, NOW_S + 1, True)
    assert isinstance(silence, AwaitSilence)
    assert silence.quiet_s == pytest.approx(0.005)
    flush = machine.after(silence, True, NOW_S + 1.005, True)
    assert isinstance(flush, Flush)
    assert flush.until_s == pytest.approx(NOW_S + 1.505)
    assert flush.full
    assert isinstance(machine.after(flush, True, NOW_S + 1.1, True), CallNext)


def test_nothing_is_waited_for_where_every_destination_is_down() -> None:
    machine = lifecycle()
    flush = machine.after(AwaitSilence(0.005, 0), True, NOW_S, any_up=False)
    assert isinstance(flush, Flush)
    assert flush.until_s == NOW_S
    assert not flush.full


def test_a_wait_cut_short_by_the_deadline_says_nothing_about_a_destination() -> None:
    machine = lifecycle()
    machine.begin(invoke(left_s=0.3), NOW_S)
    flush = machine.after(AwaitSilence(0.005, 0), True, NOW_S, any_up=True)
    assert isinstance(flush, Flush)
    assert flush.until_s == pytest.approx(NOW_S + 0.2)
    assert not flush.full


def test_with_no_wait_allowed_nothing_is_held_against_a_destination() -> None:
    machine = lifecycle(end_wait_ms=0)
    machine.begin(invoke(), NOW_S)
    flush = machine.after(AwaitSilence(0.005, 0), True, NOW_S, any_up=True)
    assert isinstance(flush, Flush)
    assert (flush.until_s, flush.full) == (NOW_S, False)


def test_an_invocation_that_does_not_end_gives_way_to_next_before_its_deadline() -> None:
    machine = lifecycle()
    done = machine.begin(invoke(left_s=1.0), NOW_S)
    flush = machine.after(done, False, NOW_S + 0.9, True)
    assert isinstance(flush, Flush)
    assert flush.until_s <= NOW_S + 0.9 + 1e-9
    assert isinstance(machine.after(flush, False, NOW_S + 0.9, True), CallNext)


def test_without_telemetry_next_is_called_at_once_and_shutdown_leaves_at_once() -> None:
    machine = lifecycle(telemetry=False)
    assert isinstance(machine.begin(invoke(), NOW_S), CallNext)
    assert isinstance(machine.begin(shutdown(), NOW_S), CloseAndLeave)


def test_an_event_of_a_later_platform_leads_to_next() -> None:
    assert isinstance(lifecycle().begin(LifecycleEvent("RESTORE", NOW_S + 1), NOW_S), CallNext)


def test_shutdown_waits_a_little_for_the_last_report_then_closes_within_its_deadline() -> None:
    machine = lifecycle()
    machine.begin(invoke(), NOW_S)
    report = machine.begin(shutdown(), NOW_S)
    assert isinstance(report, AwaitReport)
    assert report.request_id == "request-1"
    assert report.until_s == pytest.approx(NOW_S + 0.2)
    close = machine.after(report, False, NOW_S + 0.2, True)
    assert isinstance(close, CloseAndLeave)
    assert close.until_s == pytest.approx(NOW_S + 1.8)


@pytest.mark.parametrize("left_s", [-10.0, 0.0, 0.1])
def test_a_shutdown_without_time_waits_for_nothing_but_still_tries(left_s: float) -> None:
    close = lifecycle().begin(shutdown(left_s), NOW_S)
    assert isinstance(close, CloseAndLeave)
    assert close.until_s == pytest.approx(NOW_S + 0.05)


@given(
    left_s=st.floats(-5, 900),
    elapsed_s=st.lists(st.floats(0, 400), min_size=3, max_size=3),
    came=st.lists(st.booleans(), min_size=3, max_size=3),
    any_up=st.booleans(),
    end_wait_ms=st.integers(0, 60_000),
    settle_ms=st.integers(0, 10_000),
)
def test_every_step_of_an_invocation_ends_before_the_deadline_and_the_last_is_next(
    left_s: float, elapsed_s: list[float], came: list[bool], any_up: bool, end_wait_ms: int, settle_ms: int
) -> None:
    machine = lifecycle(end_wait_ms=end_wait_ms, settle_ms=settle_ms)
    now_s = NOW_S
    step = machine.begin(invoke(left_s), now_s)
    for passed_s, answer in zip(elapsed_s, came, strict=True):
        if isinstance(step, CallNext):
            break
        limit_s = max(now_s, NOW_S + left_s - 0.1)
        assert step.until_s <= limit_s + 1e-6
        now_s = min(now_s + passed_s, max(step.until_s, now_s))
        step = machine.after(step, answer, now_s, any_up)
    assert isinstance(step, CallNext)
