from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import ConfigError
from tailrace.pipeline.flush import POLICIES, FlushSettings, flush_policy
from tailrace.pipeline.sending.availability import Availability
from tailrace.pipeline.sending.retry import Backoff
from tailrace.pipeline.times import normal_time


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_pause_is_jittered_in_full_below_a_doubling_ceiling(failures: int, draw: float) -> None:
    backoff = Backoff(base_s=0.1, max_s=30.0)
    ceiling_s = min(30.0, 0.1 * 2 ** min(max(failures - 1, 0), 20))
    assert backoff.delay_s(failures, draw) == pytest.approx(draw * ceiling_s)


def test_what_the_destination_asks_for_is_honoured_within_a_bound() -> None:
    backoff = Backoff(retry_after_max_s=60.0)
    assert backoff.delay_s(1, 0.5, retry_after_s=7.0) == 7.0
    assert backoff.delay_s(1, 0.5, retry_after_s=3600.0) == 60.0
    assert backoff.delay_s(9, 0.5, retry_after_s=1.0) > 1.0
    assert backoff.delay_s(1, 0.5, retry_after_s=-5.0) == 0.05


def test_a_failure_window_is_spoken_of_once_at_each_end() -> None:
    state = Availability("s3://bucket")
    assert state.is_up
    first = state.attempt_failed(100.0, "not reached", "connection refused", 2.0)
    assert first is not None
    assert (first.level, first.message) == ("warn", "not reached")
    assert first.fields == {"destination": "s3://bucket", "reason": "connection refused"}
    assert (state.is_up, state.next_attempt_s) == (False, 102.0)
    assert state.attempt_failed(102.0, "not reached", "timed out", 4.0) is None
    assert state.wait_expired(103.0, "no reply yet") is None
    last = state.answered(112.5, held=4, dropped=1, reason="timed out")
    assert last is not None
    assert last.fields == {
        "destination": "s3://bucket",
        "downForS": 12.5,
        "failedAttempts": 2,
        "reason": "timed out",
        "heldRecords": 4,
        "droppedRecords": 1,
    }
    assert (state.is_up, state.failures, state.next_attempt_s) == (True, 0, 0.0)
    assert state.answered(113.0, held=0, dropped=0) is None


def test_a_wait_that_ran_into_its_cap_takes_the_destination_down() -> None:
    state = Availability("x")
    assert state.wait_expired(1.0, "no reply yet") is not None
    assert not state.is_up
    assert state.answered(2.0, 0, 0) is not None


def test_a_wait_in_vain_is_the_one_line_at_the_beginning_and_the_cause_stands_in_the_one_at_the_end() -> None:
    state = Availability("d")
    told = state.wait_expired(1.0, "not connected yet")
    assert told is not None
    assert told.fields == {"destination": "d", "reason": "not connected yet"}
    assert state.attempt_failed(2.0, "down", "TLS handshake timed out", 1.0) is None
    assert state.attempt_failed(3.0, "down", "TLS handshake timed out", 1.0) is None
    assert state.wait_expired(4.0, "not connected yet") is None
    state.attempt_now()
    up = state.answered(5.0, 0, 0, "TLS handshake timed out")
    assert up is not None
    assert (up.fields["failedAttempts"], up.fields["downForS"]) == (2, 4.0)
    assert up.fields["reason"] == "TLS handshake timed out"


def test_the_end_policy_keeps_its_distance_from_the_deadline() -> None:
    policy = flush_policy("end", FlushSettings(end_wait_ms=500, settle_ms=5, margin_ms=100))
    assert policy.done_wait_s(10.0, 13.0) == pytest.approx(2.9)
    assert policy.done_wait_s(12.95, 13.0) == 0.0
    assert policy.settle_s(10.0, 13.0) == pytest.approx(0.005)
    assert policy.settle_s(12.899, 13.0) == pytest.approx(0.001)
    assert policy.reply_wait_s(10.0, 13.0, any_up=True) == pytest.approx(0.5)
    assert policy.reply_wait_s(12.6, 13.0, any_up=True) == pytest.approx(0.3)
    assert policy.reply_wait_s(13.5, 13.0, any_up=True) == 0.0
    assert policy.cap_s == 0.5


def test_nothing_waits_while_everything_is_down_except_at_shutdown() -> None:
    policy = flush_policy("end", FlushSettings())
    assert policy.reply_wait_s(10.0, 13.0, any_up=False) == 0.0
    assert policy.shutdown_wait_s(10.0, 12.0) == pytest.approx(1.8)
    assert policy.shutdown_wait_s(12.0, 12.0) == 0.0


def test_an_unknown_flush_policy_is_named_with_what_is_allowed() -> None:
    assert list(POLICIES) == ["adaptive", "continuous", "end", "periodic"]
    said = r"TAILRACE_FLUSH: unknown flush policy 'often'; allowed: adaptive, continuous, end, periodic"
    with pytest.raises(ConfigError, match=said):
        flush_policy("often", FlushSettings())


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600Z"),
        ("2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02T03:04:05.Z", None),
        ("2026-01-02T03:04:05.678", None),
        ("2026-01-02T03:04:05+00:00", None),
        ("2026-13-02T03:04:05.678Z", None),
        ("2026-01-32T03:04:05.678Z", None),
        ("2026-01-02T24:04:05.678Z", None),
        ("../../../../../etc/passwdZ", None),
        ("2026-01-02T03:04:05/../../Z", None),
        ("٢٠٢٦-01-02T03:04:05.678Z", None),
        ("", None),
    ],
)
def test_only_true_times_get_into_names(text: str, normal: str | None) -> None:
    assert normal_time(text) == normal
