from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.pipeline_fakes import FakeLimits
from tailrace.errors import ConfigError
from tailrace.pipeline.batcher import SEPARATOR_BYTES, Batcher, Sealed
from tailrace.pipeline.queue import Entry, RecordQueue


def entry(seq: int, size: int = 10, time: str = "2026-11-20T21:00:00.000Z") -> Entry:
    return Entry(b"x" * size, seq, time)


def seqs(batches: list[Sealed]) -> list[list[int]]:
    return [[e.seq for e in batch.entries] for batch in batches]


def test_a_full_queue_drops_the_newest_and_keeps_what_it_has() -> None:
    queue = RecordQueue(25)
    assert [queue.put(entry(n)) for n in (1, 2, 3)] == [True, True, False]
    assert queue.put(entry(4, size=5))
    assert [e.seq for e in queue.take_all()] == [1, 2, 4]


def test_taking_records_out_makes_no_room_but_releasing_them_does() -> None:
    queue = RecordQueue(20)
    assert queue.put(entry(1))
    assert queue.put(entry(2))
    queue.take_all()
    assert not queue.put(entry(3))
    assert (len(queue), queue.waiting_bytes, queue.reserved_bytes) == (0, 0, 20)
    queue.release(10)
    assert queue.put(entry(3))


def test_an_unknown_policy_is_named_with_what_is_allowed() -> None:
    with pytest.raises(ConfigError, match=r"'drop_oldest'.*drop_newest"):
        RecordQueue(1, "drop_oldest")


def test_a_batch_is_sealed_by_count() -> None:
    batcher = Batcher(FakeLimits(max_records=2), None)
    sealed = [s for n in range(1, 6) for s in batcher.add(entry(n), 0.0)]
    assert seqs(sealed) == [[1, 2], [3, 4]]
    assert seqs(batcher.seal()) == [[5]]
    assert batcher.seal() == []


def test_a_batch_is_sealed_before_separators_carry_it_over_the_limit() -> None:
    batcher = Batcher(FakeLimits(max_bytes=21), None)  # two records of 10, but not their two separators
    assert batcher.add(entry(1), 0.0) == []
    assert seqs(batcher.add(entry(2), 0.0)) == [[1]]
    assert seqs(batcher.seal()) == [[2]]


def test_a_record_that_fills_a_request_alone_is_sent_alone_and_a_larger_one_never() -> None:
    batcher = Batcher(FakeLimits(max_bytes=11), None)
    assert batcher.fits_alone(entry(1, size=10))
    assert not batcher.fits_alone(entry(1, size=11))
    assert seqs(batcher.add(entry(1, size=10), 0.0)) == [[1]]


def test_a_batch_is_sealed_by_age_from_its_first_record() -> None:
    batcher = Batcher(FakeLimits(), 5.0)
    assert batcher.expires_s is None
    batcher.add(entry(1), 100.0)
    batcher.add(entry(2), 104.0)
    assert batcher.expires_s == 105.0
    assert batcher.seal_expired(104.9) == []
    assert seqs(batcher.seal_expired(105.0)) == [[1, 2]]
    assert batcher.expires_s is None


def test_a_batch_is_sealed_at_a_change_of_hour_where_the_destination_asks_for_it() -> None:
    late, early = "2026-11-20T21:59:59.999Z", "2026-11-20T22:00:00.000Z"
    apart = Batcher(FakeLimits(by_hour=True), None)
    apart.add(entry(1, time=late), 0.0)
    assert seqs(apart.add(entry(2, time=early), 0.0)) == [[1]]
    together = Batcher(FakeLimits(), None)
    together.add(entry(1, time=late), 0.0)
    assert together.add(entry(2, time=early), 0.0) == []


def test_a_sealed_batch_knows_its_identity_and_halves_in_order() -> None:
    sealed = Sealed([entry(n, time=f"2026-11-20T21:00:0{n}.000Z") for n in (3, 5, 8)])
    assert (sealed.batch.first_seq, sealed.batch.last_seq, sealed.batch.start) == (3, 8, "2026-11-20T21:00:03.000Z")
    first, second = sealed.halves()
    assert seqs([first, second]) == [[3], [5, 8]]
    assert (second.batch.first_seq, second.batch.start) == (5, "2026-11-20T21:00:05.000Z")


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3), st.sampled_from(["20", "21", "22"]))),
    st.integers(1, 6),
    st.integers(41, 120),
    st.booleans(),
)
def test_batches_keep_every_record_in_order_within_all_limits(
    records: list[tuple[int, int, str]], max_records: int, max_bytes: int, by_hour: bool
) -> None:
    batcher = Batcher(FakeLimits(max_records, max_bytes, by_hour=by_hour), 2.0)
    sealed, now_s = [], 0.0
    for seq, (size, pause_s, hour) in enumerate(records):
        now_s += pause_s
        sealed += batcher.seal_expired(now_s)
        sealed += batcher.add(entry(seq, size, f"2026-11-20T{hour}:00:00.000Z"), now_s)
    sealed += batcher.seal()
    assert [e.seq for s in sealed for e in s.entries] == list(range(len(records)))
    for one in sealed:
        assert 1 <= len(one) <= max_records
        assert one.batch.n_bytes + SEPARATOR_BYTES * len(one) <= max_bytes
        assert not by_hour or len({e.time[:13] for e in one.entries}) == 1
