"""When an attempt is worth making."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.pipeline.sending.breaker import CLOSED, OPEN, PROBING, Breaker


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
