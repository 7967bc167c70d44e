"""What a sender gives up goes to the dead letters where there are any: every record once, with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.pipeline_fakes import RESOURCE, FakeLimits, Told, seqs_of
from tailrace.clock import ManualClock
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.messages import DELIVERED, PARTIAL, POISONED, REJECTED, RETRY, SPLIT, Outcome
from tailrace.pipeline.sealed import Sealed
from tailrace.pipeline.sending.batcher import Entry
from tailrace.pipeline.sending.sender import Sender
from tailrace.pipeline.sending.settings import SenderSettings
from tailrace.pipeline.spooling.folder import open_spool_folder
from tailrace.pipeline.spooling.shelf import Shelf
from tailrace.pipeline.spooling.spool import Spool

TIME = "2026-11-20T21:00:00.000Z"


class Graveyard:
    def __init__(
        self,
        limits: FakeLimits | None = None,
        queue_max_bytes: int = 1_000_000,
        folder: Path | None = None,
        truncate: Callable[[bytes, int], bytes] | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.row = Ledger().open_row("x")
        self.buried: list[tuple[list[int], str, str]] = []
        self.sizes: list[int] = []
        settings = SenderSettings(queue_max_bytes=queue_max_bytes)
        shelf = None if folder is None else self._shelf(folder)
        self.sender = Sender(self.row, limits or FakeLimits(), True, settings, truncate, shelf, self.bury)

    def _shelf(self, folder: Path) -> Shelf:
        told = Told()
        spool = Spool(open_spool_folder(str(folder), ["shop"]), RESOURCE, told)
        return Shelf(self.row, lambda: spool, self.clock, told, 1_000_000, max_age_s=60.0)

    def bury(self, batches: Sequence[Sealed], reason: str, error: str) -> None:
        for one in batches:
            self.buried.append((seqs_of(one), reason, error))
            self.sizes += map(len, one.batch.parts)
            self.row.dead_letter(len(one))

    def offer(self, first: int, last: int, size: int = 10) -> None:
        self.sender.offered([Entry(b"x" * size, seq, TIME) for seq in range(first, last + 1)], 0.0, TIME)
        self.sender.flush()

    def bury_remains(self) -> None:
        while self.sender.remaining_bytes is not None:
            self.sender.bury_next()
            counts = self.row.snapshot()
            assert counts.accounted == counts.received
            assert counts.held == self.sender.held

    def reply(self, outcome: Outcome) -> None:
        sealed = self.sender.next_step(1e9).sealed
        assert sealed is not None
        self.sender.replied(outcome, 1e9, 0.0, sealed)


def test_a_batch_that_is_refused() -> None:
    yard = Graveyard()
    yard.offer(1, 3)
    yard.reply(Outcome(REJECTED, "status 404"))
    assert yard.buried == [([1, 2, 3], "rejected", "status 404")]
    assert yard.row.snapshot().rejected == 0


def test_of_a_poisoned_batch_only_the_record_that_is_refused_even_alone() -> None:
    yard = Graveyard()
    yard.offer(1, 2)
    yard.reply(Outcome(POISONED, "status 400"))
    yard.reply(Outcome(DELIVERED))
    yard.reply(Outcome(POISONED, "status 400"))
    assert yard.buried == [([2], "rejected", "status 400")]


def test_of_a_batch_that_is_taken_in_part_the_records_that_are_refused() -> None:
    yard = Graveyard()
    yard.offer(1, 4)
    yard.reply(Outcome(PARTIAL, "mapping", refused=[3, 0], again=[1]))
    assert yard.buried == [([1, 4], "rejected", "mapping")]


def test_a_record_that_is_too_large_for_a_request_and_one_that_is_for_the_server() -> None:
    yard = Graveyard(FakeLimits(max_bytes=50))
    yard.offer(1, 1, size=60)
    yard.offer(2, 2, size=20)
    yard.reply(Outcome(SPLIT, "status 413"))
    assert yard.buried == [
        ([1], "record_too_large", "a record of 60 bytes, a request may have 50"),
        ([2], "too_large", "refused for its size at 20 bytes"),
    ]


def shorten(data: bytes, max_bytes: int) -> bytes:
    return data[:max_bytes]


def test_of_a_record_that_is_never_small_enough_the_whole_is_buried() -> None:
    yard = Graveyard(truncate=shorten)
    yard.offer(1, 2, size=5151)
    sizes = []
    while (sealed := yard.sender.next_step(1e9).sealed) is not None:
        sizes.append(sealed.batch.n_bytes)
        yard.sender.replied(Outcome(SPLIT, "status 413"), 1e9, 0.0, sealed)
    assert sizes == [10_302, *[5151, 2575, 1287] * 2]
    error = "refused for its size at 1287 bytes, cut from 5151"
    assert yard.buried == [([1], "too_large", error), ([2], "too_large", error)]
    assert yard.sizes == [5151, 5151]
    counts = yard.row.snapshot()
    assert (counts.received, counts.dead_lettered, counts.truncated, counts.held) == (2, 2, 0, 0)
    assert yard.sender.held_bytes == 0


def test_a_record_that_is_taken_once_it_is_cut_is_not_buried() -> None:
    yard = Graveyard(truncate=shorten)
    yard.offer(1, 1, size=5151)
    yard.reply(Outcome(SPLIT, "status 413"))
    yard.reply(Outcome(DELIVERED))
    counts = yard.row.snapshot()
    assert (yard.buried, counts.delivered, counts.truncated) == ([], 1, 1)


@pytest.mark.parametrize("last", [REJECTED, POISONED, RETRY, PARTIAL])
def test_a_record_that_was_cut_is_buried_whole_whatever_ends_its_way(last: str) -> None:
    yard = Graveyard(truncate=shorten)
    yard.offer(1, 1, size=5151)
    yard.reply(Outcome(SPLIT, "status 413"))
    yard.reply(Outcome(last, "status 400", refused=[0]))
    yard.sender.close()
    yard.sender.abandon()
    yard.bury_remains()
    assert yard.sizes == [5151]
    assert yard.row.snapshot().dead_lettered == 1


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_goes_to_disk_of_a_record_that_was_cut_is_the_whole(tmp_path: Path, is_killed: bool) -> None:
    yard = Graveyard(truncate=shorten, folder=tmp_path)
    yard.offer(1, 1, size=5151)
    yard.reply(Outcome(SPLIT, "status 413"))
    yard.reply(Outcome(RETRY, "status 503"))
    if is_killed:
        assert yard.sender.back_up()
    else:
        yard.sender.close(keep=True)
        yard.sender.abandon()
    assert max(file.stat().st_size for file in tmp_path.rglob("*.seg")) > 5151


def test_what_finds_no_room_says_what_stood_in_the_way() -> None:
    yard = Graveyard(queue_max_bytes=100)
    yard.offer(1, 10)
    yard.reply(Outcome(RETRY, "status 503"))
    yard.offer(11, 12)
    assert yard.buried == [([11, 12], "queue_full", "status 503")]


def test_what_is_left_at_the_end_and_what_comes_after_it() -> None:
    yard = Graveyard()
    yard.offer(1, 2)
    yard.reply(Outcome(RETRY, "status 503"))
    yard.offer(3, 3)
    yard.sender.close()
    (notice,) = yard.sender.abandon()
    assert "dead letter" in notice.message
    assert notice.fields["records"] == 3
    yard.bury_remains()
    yard.offer(4, 4)
    assert [(seqs, reason) for seqs, reason, _ in yard.buried] == [
        ([1, 2], "shutdown"),
        ([3], "shutdown"),
        ([4], "shutdown"),
    ]
    assert yard.row.snapshot().dropped == {}


def test_what_became_too_old_on_disk(tmp_path: Path) -> None:
    yard = Graveyard(queue_max_bytes=100, folder=tmp_path)
    yard.offer(1, 30)
    assert not yard.buried
    yard.clock.advance(61.0)
    while yard.sender.next_step(1e9).sealed is not None:
        yard.reply(Outcome(DELIVERED))
    counts = yard.row.snapshot()
    assert {reason for _, reason, _ in yard.buried} == {"spool_expired"}
    buried = [seq for seqs, _, _ in yard.buried for seq in seqs]
    assert len(buried) == len(set(buried)) == counts.dead_lettered > 0
    assert counts.delivered + counts.dead_lettered == 30


def test_what_lies_on_disk_when_there_will_be_no_other_process(tmp_path: Path) -> None:
    yard = Graveyard(queue_max_bytes=150, folder=tmp_path)
    yard.offer(1, 20)
    yard.reply(Outcome(RETRY, "status 503"))
    yard.sender.close()
    yard.sender.abandon()
    assert yard.row.snapshot().held == yard.sender.held == 20
    yard.bury_remains()
    counts = yard.row.snapshot()
    assert sorted(seq for seqs, _, _ in yard.buried for seq in seqs) == list(range(1, 21))
    assert {(reason, error) for _, reason, error in yard.buried} == {("shutdown", "status 503")}
    assert (counts.dead_lettered, counts.held, counts.dropped) == (20, 0, {})


def test_what_is_not_read_before_the_time_is_up_is_lost_by_name_and_leaves_nothing_on_disk(tmp_path: Path) -> None:
    yard = Graveyard(FakeLimits(max_records=3), queue_max_bytes=100, folder=tmp_path)
    yard.offer(1, 60)
    yard.sender.close()
    yard.sender.abandon()
    yard.sender.bury_next()
    yard.sender.bury_next()
    n_buried = yard.row.snapshot().dead_lettered
    assert yard.sender.drop_remains("shutdown, dead_letter_shutdown") == 60 - n_buried
    counts = yard.row.snapshot()
    assert counts.dropped == {"shutdown, dead_letter_shutdown": 60 - n_buried}
    assert n_buried == counts.dead_lettered > 0
    assert (counts.held, counts.spooled) == (0, 0)
    assert not list(tmp_path.rglob("*.seg"))


def test_what_is_gone_from_disk_at_the_end_is_counted_as_that(tmp_path: Path) -> None:
    yard = Graveyard(FakeLimits(max_records=3), queue_max_bytes=100, folder=tmp_path)
    yard.offer(1, 60)
    yard.sender.close()
    yard.sender.abandon()
    for file in tmp_path.rglob("*.seg"):
        file.unlink()
    yard.bury_remains()
    counts = yard.row.snapshot()
    assert counts.dead_lettered > 0
    assert counts.dropped == {"spool_lost": 60 - counts.dead_lettered}
    assert counts.held == 0


OUTCOMES = st.sampled_from(
    [
        Outcome(DELIVERED),
        Outcome(REJECTED, "no"),
        Outcome(POISONED, "bad"),
        Outcome(SPLIT, "large"),
        Outcome(RETRY, "later"),
        Outcome(PARTIAL, "some", refused=[0], again=[1]),
    ]
)


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(1, 40), OUTCOMES), max_size=40))
def test_every_record_is_delivered_or_buried_once(steps: list[int | Outcome]) -> None:
    yard = Graveyard(FakeLimits(max_bytes=60, max_records=5), queue_max_bytes=200)
    seq = 0
    for step in steps:
        if isinstance(step, int):
            seq += 1
            yard.offer(seq, seq, size=step * 2)
        elif yard.sender.next_step(1e9).sealed is not None:
            yard.reply(step)
        counts = yard.row.snapshot()
        assert counts.accounted == counts.received
        assert counts.held == yard.sender.held
    yard.sender.close()
    yard.sender.abandon()
    yard.bury_remains()
    counts = yard.row.snapshot()
    buried = [seq for seqs, _, _ in yard.buried for seq in seqs]
    assert len(buried) == len(set(buried)) == counts.dead_lettered
    assert counts.delivered + counts.dead_lettered == counts.received == seq
