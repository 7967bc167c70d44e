from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from support.pipeline_fakes import FakeLimits, seqs_of
from tailrace.pipeline.sealed import Sealed
from tailrace.pipeline.sending.batcher import SEPARATOR_BYTES, Batcher, Entry


def entry(seq: int, size: int = 10, time: str = "2026-11-20T21:00:00.000Z") -> Entry:
    return Entry(b"x" * size, seq, time)


def seqs(batches: Sequence[Sealed]) -> list[list[int]]:
    return [seqs_of(batch) for batch in batches]


def add(batcher: Batcher, one: Entry, now_s: float = 0.0) -> Sequence[Sealed]:
    return batcher.add(one, now_s, "2026-01-01T00:00:00.000Z")


def test_a_batch_is_sealed_by_count() -> None:
    batcher = Batcher(FakeLimits(max_records=2))
    sealed = [s for n in range(1, 6) for s in add(batcher, entry(n), 0.0)]
    assert seqs(sealed) == [[1, 2], [3, 4]]
    assert seqs(batcher.seal()) == [[5]]
    assert not batcher.seal()


def test_a_batch_is_sealed_before_separators_carry_it_over_the_limit() -> None:
    batcher = Batcher(FakeLimits(max_bytes=21))  # two records of 10, but not their two separators
    assert not add(batcher, entry(1), 0.0)
    assert seqs(add(batcher, entry(2), 0.0)) == [[1]]
    assert seqs(batcher.seal()) == [[2]]


def test_a_record_that_fills_a_request_is_sent_alone() -> None:
    batcher = Batcher(FakeLimits(max_bytes=11))
    assert seqs(add(batcher, entry(1, size=10), 0.0)) == [[1]]


def test_a_batch_is_sealed_by_age_from_its_first_record() -> None:
    batcher = Batcher(FakeLimits(max_age_s=5.0))
    expires_s = batcher.expires_s
    assert expires_s is None
    add(batcher, entry(1), 100.0)
    add(batcher, entry(2), 104.0)
    expires_s = batcher.expires_s
    assert expires_s == 105.0
    assert not batcher.seal_expired(104.9)
    assert seqs(batcher.seal_expired(105.0)) == [[1, 2]]
    assert batcher.expires_s is None


def test_a_batch_is_sealed_at_a_change_of_hour_where_the_destination_asks_for_it() -> None:
    late, early = "2026-11-20T21:59:59.999Z", "2026-11-20T22:00:00.000Z"
    apart = Batcher(FakeLimits(by_hour=True))
    add(apart, entry(1, time=late), 0.0)
    assert seqs(add(apart, entry(2, time=early), 0.0)) == [[1]]
    together = Batcher(FakeLimits())
    add(together, entry(1, time=late), 0.0)
    assert add(together, entry(2, time=early), 0.0) == ()


def test_a_sealed_batch_knows_its_identity_and_halves_in_order() -> None:
    batcher = Batcher(FakeLimits())
    numbers = (3, 5, 6, 7, 20, 21)
    for n in numbers:
        add(batcher, Entry(b"%d" % n, n, f"2026-11-20T21:00:{n:02}.000Z"), 0.0)
    (sealed,) = batcher.seal()
    assert seqs_of(sealed) == [*numbers]
    assert (sealed.batch.first_seq, sealed.batch.last_seq, sealed.batch.start) == (3, 21, "2026-11-20T21:00:03.000Z")
    first, second = sealed.halves()
    assert seqs([first, second]) == [[3, 5, 6], [7, 20, 21]]
    assert seqs([*first.halves(), *second.halves()]) == [[3], [5, 6], [7], [20, 21]]
    assert [part for half in (first, second) for part in half.batch.parts] == sealed.batch.parts
    assert {half.batch.start for half in second.halves()} == {"2026-11-20T21:00:03.000Z"}
    assert (second.batch.first_seq, second.batch.last_seq) == (7, 21)


def test_a_batch_is_a_part_of_what_may_wait_and_a_larger_record_goes_alone() -> None:
    batcher = Batcher(FakeLimits(max_bytes=1000), 30)
    assert seqs(add(batcher, entry(1, size=500), 0.0)) == [[1]]
    assert not add(batcher, entry(2), 0.0)
    assert seqs(add(batcher, entry(3, size=500), 0.0)) == [[2], [3]]


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3), st.sampled_from(["20", "21", "22"]))),
    st.integers(1, 6),
    st.integers(41, 120),
    st.booleans(),
)
def test_batches_keep_every_record_in_order_within_all_limits(
    records: list[tuple[int, int, str]], max_records: int, max_bytes: int, by_hour: bool
) -> None:
    batcher = Batcher(FakeLimits(max_records, max_bytes, by_hour=by_hour, max_age_s=2.0))
    sealed: list[Sealed] = []
    now_s = 0.0
    for seq, (size, pause_s, hour) in enumerate(records):
        now_s += pause_s
        sealed += batcher.seal_expired(now_s)
        sealed += add(batcher, entry(seq, size, f"2026-11-20T{hour}:00:00.000Z"), now_s)
    sealed += batcher.seal()
    assert [seq for s in sealed for seq in seqs_of(s)] == list(range(len(records)))
    for one in sealed:
        assert 1 <= len(one) <= max_records
        assert one.batch.n_bytes + SEPARATOR_BYTES * len(one) <= max_bytes
        assert not by_hour or len({records[seq][2] for seq in seqs_of(one)}) == 1
