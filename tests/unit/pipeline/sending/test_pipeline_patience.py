"""Waits for a destination that does not answer cost their cap once, however many they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.pipeline.sending.patience import Patience


def wait(patience: Patience, now_s: float, given_s: float) -> tuple[float, bool]:
    """In vain: when it ended, and whether that was the end of patience."""
    ended_s = max(now_s, patience.until_s(now_s, now_s + given_s))
    return ended_s, patience.is_used_up(now_s, ended_s, given_s)


def test_waits_that_are_cut_short_add_up_to_the_cap_and_no_further() -> None:
    patience = Patience(3.0)
    assert wait(patience, 0.0, 2.9) == (2.9, False)
    ended_s, is_used_up = wait(patience, 10.0, 2.9)
    assert ended_s == pytest.approx(10.1)
    assert is_used_up
    assert wait(patience, 20.0, 2.9) == (20.0, True)


def test_an_answer_makes_it_patient_again_and_time_before_it_does_not_count() -> None:
    patience = Patience(1.0)
    assert wait(patience, 0.0, 0.9) == (0.9, False)
    patience.answered(5.0, 0.3)
    assert wait(patience, 6.0, 0.9) == (6.9, False)
    patience = Patience(1.0)
    patience.answered(0.8, 0.3)  # in the middle of this wait, for all of a queue
    assert not patience.is_used_up(0.0, 0.9, 0.9)
    assert wait(patience, 2.0, 0.8) == (2.8, False)


def test_who_gives_more_than_the_cap_does_not_wait_for_a_single_answer() -> None:
    patience = Patience(0.5)
    assert wait(patience, 0.0, 1.2) == (1.2, False)
    assert wait(patience, 2.0, 0.4) == (2.4, False)


@given(st.floats(0.05, 10.0), st.lists(st.floats(0.001, 20.0), min_size=1, max_size=60))
def test_no_destination_that_is_silent_costs_more_than_the_cap_altogether(cap_s: float, given_s: list[float]) -> None:
    patience = Patience(cap_s)
    now_s = waited_s = 0.0
    for one_s in given_s:
        if one_s > cap_s:
            continue
        ended_s, is_used_up = wait(patience, now_s, one_s)
        waited_s += ended_s - now_s
        now_s = ended_s + 1.0
        if is_used_up:
            break
    assert waited_s <= cap_s + 0.01


def test_the_usual_time_of_a_reply_falls_at_once_and_rises_slowly() -> None:
    patience = Patience(0.5)
    assert patience.answers_within(0.005)
    patience.answered(1.0, 0.4)
    assert not patience.answers_within(0.005)
    patience.answered(2.0, 0.004)
    assert patience.answers_within(0.005)
    patience.answered(3.0, 60.0)  # read after a freeze
    assert patience.usual_s == pytest.approx(0.253)
