"""When an attempt is worth making."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.pipeline_fakes import FakeLimits
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.messages import DELIVERED, Outcome
from tailrace.pipeline.sending.batcher import Entry
from tailrace.pipeline.sending.breaker import CLOSED, OPEN, PROBING, Breaker
from tailrace.pipeline.sending.sender import Sender
from tailrace.pipeline.sending.settings import SenderSettings


def test_it_opens_after_so_many_failures_in_a_row_and_lets_one_probe_through_after_each_pause() -> None:
    breaker = Breaker(threshold=3, first_pause_s=1.0, max_pause_s=4.0)
    for now_s in (0.0, 1.0):
        breaker.failed(now_s, 0.25, 0.0)
        assert (breaker.state(now_s), breaker.next_attempt_s) == (CLOSED, now_s + 0.25)
    now_s, pauses = 2.0, []
    for _ in range(5):
        breaker.failed(now_s, 0.25, 1.0)
        assert breaker.state(now_s) == OPEN
        pauses.append(breaker.next_attempt_s - now_s)
        now_s = breaker.next_attempt_s
        assert breaker.state(now_s) == PROBING
    assert pauses == [1.0, 2.0, 4.0, 4.0, 4.0]
    breaker.succeeded()
    assert (breaker.state(now_s), breaker.next_attempt_s, breaker.failures) == (CLOSED, 0.0, 0)


def test_a_success_in_between_starts_the_count_again() -> None:
    breaker = Breaker(threshold=2)
    breaker.failed(0.0, 0.0, 0.0)
    breaker.succeeded()
    breaker.failed(1.0, 0.0, 0.0)
    assert breaker.state(1.0) == CLOSED


def test_what_the_destination_asks_for_counts_where_it_is_longer_and_the_end_forgets_every_pause() -> None:
    breaker = Breaker(threshold=1, first_pause_s=1.0)
    breaker.failed(0.0, 90.0, 0.5)
    assert breaker.next_attempt_s == 90.0
    breaker.attempt_now()
    assert breaker.state(0.0) == PROBING


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_no_pause_of_an_open_breaker_is_nothing_and_none_is_beyond_its_bound(failures: int, draw: float) -> None:
    breaker = Breaker(threshold=1, first_pause_s=1.0, max_pause_s=60.0)
    for _ in range(failures):
        breaker.failed(5.0, 0.0, draw)
    ceiling_s = min(60.0, 2.0 ** min(failures - 1, 16))
    assert breaker.next_attempt_s - 5.0 == pytest.approx(ceiling_s / 2 * (1 + draw))


def test_an_invocation_cuts_a_long_pause_but_no_short_one_and_never_what_the_destination_asked_for() -> None:
    breaker = Breaker(threshold=1, first_pause_s=60.0, invoked_pause_s=5.0)
    breaker.failed(100.0, 0.1, 0.5)
    assert breaker.next_attempt_s == 145.0
    breaker.invoked()
    assert breaker.next_attempt_s == 103.75
    breaker.invoked()
    assert breaker.next_attempt_s == 103.75
    breaker.failed(104.0, 30.0, 0.5, asked_s=30.0)
    breaker.invoked()
    assert breaker.next_attempt_s == 134.0
    short = Breaker(threshold=1, first_pause_s=1.0)
    short.failed(100.0, 0.0, 0.0)
    short.invoked()
    assert short.next_attempt_s == 100.5
    closed = Breaker(threshold=2)
    closed.failed(100.0, 20.0, 0.0)
    closed.invoked()
    assert closed.next_attempt_s == 120.0


def outage(ends_s: float, draw: float, invocation_every_s: float | None) -> tuple[float, list[float]]:
    """How long after the end of an outage the first batch arrived, and when something was tried meanwhile."""
    sender = Sender(Ledger().open_row("x"), FakeLimits(), True, SenderSettings())
    sender.offered([Entry(b"x", 1, "")], 0.0, "2026-11-20T21:00:00.000Z")
    sender.flush()
    now_s, invoked_s, tried = 0.0, 0.0, []
    while True:
        if invocation_every_s is not None and now_s >= invoked_s:
            sender.availability.invoked()
            invoked_s += invocation_every_s
        step = sender.next_step(now_s)
        if step.sealed is not None:
            assert sender.next_express().sealed is None
            tried.append(now_s)
            if now_s >= ends_s:
                sender.replied(Outcome(DELIVERED), now_s, draw)
                return now_s - ends_s, tried
            sender.not_connected("refused", now_s, draw)
        now_s = round(now_s + 0.1, 1)


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.99])
def test_while_invocations_come_an_outage_is_noticed_to_be_over_within_seconds(draw: float) -> None:
    alone = [outage(ends_s, draw, None)[0] for ends_s in range(30, 400, 7)]
    invoked = [outage(ends_s, draw, 1.0) for ends_s in range(30, 400, 7)]
    assert max(alone) > 20.0
    assert max(lag_s for lag_s, _ in invoked) <= 5.2
    for _, tried in invoked:
        pauses = [later - sooner for sooner, later in pairwise(tried[6:])]
        assert min(pauses, default=9.0) >= 2.4  # one probe at a time, and not many


def test_rare_invocations_are_tried_with_at_once() -> None:
    lag_s, tried = outage(ends_s=290.0, draw=0.99, invocation_every_s=30.0)
    assert tried[-1] == pytest.approx(300.0, abs=0.2)
    assert lag_s == pytest.approx(10.0, abs=0.2)
