"""How old lines are when they arrive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from support.pipeline_fakes import FakeLimits
from tailrace.pipeline.ages import Ages
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.sending.batcher import Batcher, Entry
from tailrace.pipeline.times import epoch_ms


@given(st.lists(st.integers(-5, 10_000_000), min_size=1), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_quantile_is_never_too_low_and_at_most_a_quarter_too_high(ages_ms: list[int], share: float) -> None:
    ages = Ages()
    for age_ms in ages_ms:
        ages.add(age_ms, 1)
    ordered = sorted(max(0, age_ms) for age_ms in ages_ms)
    rank = -int(-share * len(ordered) // 1)
    exact = ordered[rank - 1]
    assert exact <= ages.quantile_ms(share) <= exact * 1.25
    assert ages.max_ms == ordered[-1]


def test_nothing_delivered_has_no_age() -> None:
    row = Ledger().open_row("x")
    row.receive(2)
    assert "ageMs" not in row.snapshot().to_object()
    row.deliver(2, [(40, 1), (7, 1)])
    assert row.snapshot().to_object()["ageMs"] == {"p50": 7, "p95": 40, "max": 40}
    kept = row.snapshot()
    row.receive()
    row.deliver(1, [(900, 1)])
    assert kept.ages.max_ms == 40


def test_a_time_is_understood_as_telemetry_writes_it() -> None:
    assert epoch_ms("2026-01-02T03:04:05.678Z") == 1_767_323_045_678
    assert epoch_ms("1970-01-01T00:00:00Z") == 0
    assert epoch_ms("2024-02-29T23:59:59.999Z") == 1_709_251_199_999
    assert epoch_ms("yesterday") is None


def time_at(ms: int) -> str:
    return f"2026-11-20T21:00:{ms // 1000:02}.{ms % 1000:03}Z"


@given(st.lists(st.integers(0, 59_999), min_size=1, max_size=30), st.data())
def test_a_batch_knows_its_records_ages_to_a_hundredth_of_a_second_halved_and_picked_too(
    times_ms: list[int], data: st.DataObject
) -> None:
    batcher = Batcher(FakeLimits())
    for seq, ms in enumerate(times_ms):
        batcher.add(Entry(b"x", seq, time_at(ms)), 0.0, time_at(0))
    (sealed,) = batcher.seal()
    end_s = (epoch_ms(time_at(59_999)) or 0) / 1000
    picked = sorted(data.draw(st.sets(st.integers(0, len(times_ms) - 1), min_size=1)))
    for part, places in ((sealed, [*range(len(times_ms))]), (sealed.picked(picked), picked)):
        ages = [age for age, n in part.ages(end_s) for _ in range(n)]
        assert len(ages) == len(places)
        assert all(abs(age - (59_999 - times_ms[place])) <= 10 for age, place in zip(ages, places, strict=True))
    if len(sealed) > 1:
        halves = sealed.halves()
        assert sum(n for half in halves for _, n in half.ages(end_s)) == len(times_ms)


def test_records_without_a_usable_time_have_no_age() -> None:
    batcher = Batcher(FakeLimits())
    for seq, time in enumerate((time_at(0), "", "noon", time_at(500))):
        batcher.add(Entry(b"x", seq, time), 0.0, time_at(0))
    (sealed,) = batcher.seal()
    assert sealed.ages((epoch_ms(time_at(1000)) or 0) / 1000) == [(1000, 1), (500, 1)]


def test_near_the_deadline_records_leave_almost_at_once() -> None:
    batcher = Batcher(FakeLimits(max_age_s=5.0))
    batcher.add(Entry(b"x", 1, time_at(0)), 10.0, time_at(0))
    assert batcher.expires_s == 15.0
    batcher.hurry_from_s = 12.0
    assert batcher.expires_s == 12.0
    batcher.seal()
    batcher.add(Entry(b"x", 2, time_at(0)), 12.5, time_at(0))
    assert batcher.expires_s == 12.51
