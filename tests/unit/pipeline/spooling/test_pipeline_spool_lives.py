"""Whatever happens between processes of one environment: each record once, and what is missing is counted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.pipeline_fakes import Told
from support.spool_lives import NAME, Life
from tailrace.clock import ManualClock
from tailrace.model.resource import Resource
from tailrace.pipeline.ledger import Ledger, RowSnapshot
from tailrace.pipeline.sealed import Sealed
from tailrace.pipeline.spooling.folder import open_spool_folder
from tailrace.pipeline.spooling.shelf import Shelf
from tailrace.pipeline.spooling.spool import Spool


def lines(numbers: Iterator[int], n: int) -> list[bytes]:
    return [b"line %d " % next(numbers) + b"x" * 20 for _ in range(n)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def segments(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if ".seg" in file.name)


def test_beyond_memory_the_newest_lie_on_disk_and_all_leave_in_order(tmp_path: Path, clock: ManualClock) -> None:
    arrived: list[bytes] = []
    life = Life(tmp_path / "spool", clock, arrived)
    written = lines(count(), 100)
    for line in written:
        life.come([line])

    assert life.sender.held_bytes <= 400
    assert life.sender.held == life.row.snapshot().held == 100
    assert life.row.snapshot().spooled > 80
    assert segments(tmp_path)

    life.deliver_all()

    assert arrived == written
    assert life.row.snapshot().delivered == 100
    assert life.row.snapshot().spooled == 0
    assert segments(tmp_path) == []
    assert life.spool is not None
    assert life.spool.used_bytes == 0


def test_a_full_spool_is_named_queue_full_and_costs_the_newest(tmp_path: Path, clock: ManualClock) -> None:
    arrived: list[bytes] = []
    life = Life(tmp_path / "spool", clock, arrived, spool_max_bytes=3000)
    written = lines(count(), 200)
    for line in written:
        life.come([line])
    dropped = life.row.snapshot().dropped["queue_full"]

    life.deliver_all()

    assert 0 < dropped < 190
    assert arrived == written[: 200 - dropped]
    assert life.shelf.has_room(100)


def test_a_process_that_leaves_hands_everything_to_the_next(tmp_path: Path, clock: ManualClock) -> None:
    arrived: list[bytes] = []
    numbers = count()
    written = lines(numbers, 30)
    first = Life(tmp_path / "spool", clock, arrived, number=1)
    first.come(written)
    first.deliver()
    row = first.leave()
    assert (row.received, row.delivered, row.held, row.spooled) == (30, 3, 27, 27)

    second = Life(tmp_path / "spool", clock, arrived, number=2)
    more = lines(numbers, 3)
    second.come(more)
    sealed = second.next()
    assert sealed is not None
    assert sealed.environment == "process-1"
    second.deliver_all()

    assert arrived == [*written, *more]
    row = second.row.snapshot()
    assert (row.received, row.taken_over, row.delivered, row.held, row.dropped) == (30, 27, 30, 0, {})


def test_a_killed_process_is_counted_by_the_next(tmp_path: Path, clock: ManualClock) -> None:
    arrived: list[bytes] = []
    first = Life(tmp_path / "spool", clock, arrived)
    first.come(lines(count(), 40))
    delivered = first.deliver()
    first.acknowledge(5)  # nobody got to split this post
    in_spool = first.row.snapshot().spooled
    first.be_killed()

    second = Life(tmp_path / "spool", clock, arrived)
    second.deliver_all()

    row = second.row.snapshot()
    assert (row.received, row.delivered, row.taken_over) == (45, delivered + in_spool, 0)
    assert row.dropped == {"process_killed": 45 - delivered - in_spool}
    (said,) = (fields for _, message, fields in second.told.lines if "former process" in message)
    assert (said["killed"], said["takenOver"]) == (45 - delivered - in_spool, in_spool)


def test_what_was_sent_and_not_answered_is_remembered_as_that(tmp_path: Path, clock: ManualClock) -> None:
    arrived: list[bytes] = []
    first = Life(tmp_path / "spool", clock, arrived)
    first.come(lines(count(), 8))
    first.send_in_vain()
    first.leave()

    second = Life(tmp_path / "spool", clock, arrived)
    sealed = second.next()
    assert sealed is not None
    assert sealed.unconfirmed
    second.send_in_vain()
    second.be_killed()

    third = Life(tmp_path / "spool", clock, arrived)
    sealed = third.next()
    assert sealed is not None
    assert sealed.unconfirmed
    third.deliver_all()
    assert third.row.snapshot().delivered == 8


@pytest.mark.parametrize("end", ["leave", "be_killed"])
def test_of_a_batch_that_was_partly_taken_only_the_rest_is_replayed(
    tmp_path: Path, clock: ManualClock, end: str
) -> None:
    arrived: list[bytes] = []
    written = lines(count(), 12)
    first = Life(tmp_path / "spool", clock, arrived)
    first.come(written)
    first.leave()
    second = Life(tmp_path / "spool", clock, arrived)
    second.deliver_odd_places()
    assert arrived == written[1:3:2]
    getattr(second, end)()

    third = Life(tmp_path / "spool", clock, arrived)
    third.deliver_all()

    assert sorted(arrived) == sorted(written)
    assert third.row.snapshot().dropped == {}


def test_what_is_too_old_is_not_delivered(tmp_path: Path, clock: ManualClock) -> None:
    arrived: list[bytes] = []
    first = Life(tmp_path / "spool", clock, arrived)
    first.come(lines(count(), 6))
    first.leave()
    clock.advance(3601)

    second = Life(tmp_path / "spool", clock, arrived)
    second.deliver_all()

    assert arrived == []
    assert second.row.snapshot().dropped == {"spool_expired": 6}
    ((level, _, fields),) = second.told.lines  # many batches, one line
    assert (level, fields["records"]) == ("error", 6)
    assert segments(tmp_path) == []


@pytest.mark.parametrize("between_lives", [True, False])
def test_files_that_are_removed_are_missed_and_counted(tmp_path: Path, clock: ManualClock, between_lives: bool) -> None:
    arrived: list[bytes] = []
    life = Life(tmp_path / "spool", clock, arrived)
    life.come(lines(count(), 50))
    held = life.row.snapshot().spooled
    if between_lives:
        held = life.leave().held
    for file in segments(tmp_path):
        file.unlink()
    if between_lives:
        life = Life(tmp_path / "spool", clock, arrived)
    life.deliver_all()

    row = life.row.snapshot()
    assert row.dropped == {"spool_lost": held}
    assert row.received == row.accounted
    life.come(lines(count(50), 50))
    life.deliver_all()
    assert life.row.snapshot().dropped == {"spool_lost": held}


@pytest.mark.parametrize(("content", "suffix"), [(b"TRSP\x00\x07", "version"), (b"garbage", "damaged")])
def test_a_file_that_is_not_ours_to_read_is_set_aside_and_counted(
    tmp_path: Path, clock: ManualClock, content: bytes, suffix: str
) -> None:
    arrived: list[bytes] = []
    first = Life(tmp_path / "spool", clock, arrived)
    first.come(lines(count(), 6))
    first.leave()
    (file,) = segments(tmp_path)
    file.write_bytes(content + file.read_bytes()[len(content) :])

    second = Life(tmp_path / "spool", clock, arrived)

    assert second.row.snapshot().dropped == {"spool_lost": 6}
    assert [found.name for found in segments(tmp_path)] == [f"{file.name}.{suffix}"]
    assert any(line[1] == "a file of the spool is not as it was written" for line in second.told.lines)


@pytest.mark.parametrize("harm", ["removed", "another version", "damaged"])
def test_after_a_kill_what_is_missing_on_disk_went_with_the_process(
    tmp_path: Path, clock: ManualClock, harm: str
) -> None:
    first = Life(tmp_path / "spool", clock, [], queue_max_bytes=10_000)
    first.come(lines(count(), 6))
    first.flush_in_vain()
    first.be_killed()
    (file,) = segments(tmp_path)
    if harm == "removed":
        file.unlink()
    else:
        file.write_bytes(b"TRSP\x00\x07" if harm == "another version" else b"garbage")

    second = Life(tmp_path / "spool", clock, [])

    assert second.row.snapshot().dropped == {"process_killed": 6}
    assert second.row.snapshot().received == second.row.snapshot().accounted == 6


def test_what_was_written_down_before_the_files_of_former_processes_were_read_is_none_of_them(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Telemetry comes in while the files are still to be read. Read as its predecessor's, a batch would be there twice,
    and its file be gone with the first of the two."""
    Life(tmp_path / "spool", clock, [], number=1).leave()
    first = Life(tmp_path / "spool", clock, [], queue_max_bytes=10_000, number=1)
    first.come(lines(count(), 8))
    first.leave()

    folder = open_spool_folder(str(tmp_path / "spool"), ["shop"])
    row, told = Ledger().open_row(NAME), Told()
    spool = Spool(folder, Resource("shop", "process-2"), told)
    shelf = Shelf(row, lambda: spool, clock, told, 1_000_000, 3600)
    own = shelf.put(Sealed.of_rows([(1, "", b"own")], ""))
    found = shelf.restore()

    assert own is not None
    assert sum(map(len, found)) == 8
    assert {one.place.environment for one in found} == {"process-1"}
    assert row.snapshot().spooled == 9
    for one in [*found, own]:
        assert shelf.take(one) is not None
        shelf.settle(one.place, one.places)
    assert told.lines == []
    assert segments(tmp_path) == []
    spool.close()
    folder.close()


def test_a_process_killed_at_any_byte_of_a_write_loses_only_what_it_had_not_written(
    tmp_path: Path, clock: ManualClock
) -> None:
    whole: list[bytes] = []
    written = lines(count(), 9)
    life = Life(tmp_path / "whole", clock, whole)
    life.come(written)
    life.leave()
    (file,) = segments(tmp_path / "whole")
    content = file.read_bytes()
    counters = (file.parent / "counters").read_bytes()

    for length in range(0, len(content), 3):
        arrived: list[bytes] = []
        base = tmp_path / str(length)
        Life(base, clock, arrived).be_killed()
        (folder,) = base.iterdir()
        (folder / file.name).write_bytes(content[:length])
        (folder / "counters").write_bytes(counters)
        after = Life(base, clock, arrived)
        after.deliver_all()
        row = after.row.snapshot()
        assert arrived == written[: len(arrived)]
        assert (row.received, row.delivered) == (9, len(arrived))
        assert row.dropped == ({"spool_lost": 9 - len(arrived)} if len(arrived) < 9 else {})


def test_a_disk_that_takes_nothing_is_named_and_asked_again_later(tmp_path: Path, clock: ManualClock) -> None:
    arrived: list[bytes] = []
    life = Life(tmp_path / "spool", clock, arrived)
    life.come(lines(count(), 4))
    shutil.rmtree(tmp_path / "spool")
    for line in lines(count(4), 40):
        life.come([line])

    assert set(life.row.snapshot().dropped) == {"spool_failed"}
    life.deliver_all()
    assert life.row.snapshot().held == 0
    warnings = [line for line in life.told.lines if "could not be written to the spool" in line[1]]
    assert len(warnings) == 1


def test_what_a_flush_leaves_undelivered_outlives_a_kill(tmp_path: Path, clock: ManualClock) -> None:
    arrived: list[bytes] = []
    written = lines(count(), 10)
    first = Life(tmp_path / "spool", clock, arrived, queue_max_bytes=10_000, number=1)
    first.come(written)
    first.flush_in_vain()
    assert (first.row.snapshot().held, first.row.snapshot().spooled) == (10, 10)
    first.be_killed()

    second = Life(tmp_path / "spool", clock, arrived, number=2)
    sealed = second.next()
    assert sealed is not None
    assert sealed.environment == "process-1"
    second.deliver_all()

    assert arrived == written
    assert (second.row.snapshot().received, second.row.snapshot().delivered) == (10, 10)
    assert second.row.snapshot().dropped == {}


def test_what_was_written_down_for_a_kill_that_did_not_come_is_sent_from_memory_and_leaves_nothing(
    tmp_path: Path, clock: ManualClock
) -> None:
    arrived: list[bytes] = []
    written = lines(count(), 10)
    life = Life(tmp_path / "spool", clock, arrived, queue_max_bytes=10_000)
    life.come(written)
    life.flush_in_vain()
    (file,) = segments(tmp_path)
    size = file.stat().st_size
    life.flush_in_vain()
    assert file.stat().st_size == size, "a batch is written down once"
    life.deliver()
    life.be_killed()
    again = Life(tmp_path / "spool", clock, arrived, number=2)
    again.deliver_all()
    assert arrived == written
    assert segments(tmp_path) == []


def test_a_batch_that_is_written_down_while_it_is_on_the_wire_may_have_arrived(
    tmp_path: Path, clock: ManualClock
) -> None:
    first = Life(tmp_path / "spool", clock, [], queue_max_bytes=10_000)
    first.come(lines(count(), 2))
    sealed = first.next()
    assert sealed is not None
    first.sender.written(sealed)
    first.flush_in_vain()
    first.be_killed()

    second = Life(tmp_path / "spool", clock, [])
    found = second.next()
    assert found is not None
    assert found.unconfirmed


def test_memory_that_is_full_is_given_back_at_no_cost_by_what_is_written_down_already(
    tmp_path: Path, clock: ManualClock
) -> None:
    life = Life(tmp_path / "spool", clock, [], queue_max_bytes=400)
    life.come(lines(count(), 8))
    life.flush_in_vain()
    (file,) = segments(tmp_path)
    size = file.stat().st_size
    assert life.sender.make_room(300)
    assert file.stat().st_size == size
    assert life.row.snapshot().spooled == life.row.snapshot().held == 8


def test_without_room_on_disk_a_flush_in_vain_leaves_things_as_they_were(tmp_path: Path, clock: ManualClock) -> None:
    arrived: list[bytes] = []
    written = lines(count(), 8)
    life = Life(tmp_path / "spool", clock, arrived, queue_max_bytes=10_000, spool_max_bytes=700)
    life.come(written)
    life.flush_in_vain()
    assert 0 < life.row.snapshot().spooled < 8
    life.deliver_all()
    assert arrived == written


STEPS = st.one_of(
    st.tuples(st.just("come"), st.integers(1, 12)),
    st.tuples(
        st.sampled_from(
            ["deliver", "split", "deliver_odd_places", "reject", "send_in_vain", "flush_in_vain", "leave", "kill"]
        ),
        st.just(0),
    ),
)


class Story:
    """One process after the other, and what an observer from outside adds up."""

    def __init__(self, path: Path, max_records: int, queue_max_bytes: int) -> None:
        self.arrived: list[bytes] = []
        self.numbers = count()
        self.n_rejected = self.n_killed = 0
        self.printed_received = self.printed_held = 0
        self._path = path
        self._limits = {"max_records": max_records, "queue_max_bytes": queue_max_bytes}
        self._clock = ManualClock()
        self._n = 0
        self.life = self._begin()

    def _begin(self) -> Life:
        self._n += 1
        return Life(self._path, self._clock, self.arrived, number=self._n, **self._limits)

    def happens(self, word: str, n: int) -> None:
        if word == "come":
            self.life.come(lines(self.numbers, n))
        elif word == "reject":
            self.n_rejected += self.life.reject()
        elif word == "leave":
            self._print(self.life.leave())
            self.life = self._begin()
        elif word == "kill":
            row = self.life.row.snapshot()
            self.n_killed += row.held - row.spooled
            self.life.be_killed()
            self.life = self._begin()
        else:
            getattr(self.life, word)()

    def end(self) -> None:
        self.life.deliver_all()
        self._print(self.life.leave())

    def _print(self, row: RowSnapshot) -> None:
        """What the emulator adds up of the line."""
        self.printed_received += row.received - row.taken_over
        self.printed_held += row.held - row.taken_over


@given(st.lists(STEPS, max_size=40), st.integers(1, 6), st.sampled_from([150, 400, 5000]))
@examples(60)
def test_any_story_of_processes_ends_with_every_record_accounted_for_once(
    steps: list[tuple[str, int]], max_records: int, queue_max_bytes: int
) -> None:
    with TemporaryDirectory() as folder:
        story = Story(Path(folder) / "spool", max_records, queue_max_bytes)
        for word, n in steps:
            story.happens(word, n)
            row = story.life.row.snapshot()
            assert row.received == row.accounted
            assert row.held == story.life.sender.held
        story.end()
        assert segments(Path(folder)) == []

    total = next(story.numbers)
    assert len(story.arrived) == len(set(story.arrived))
    assert len(story.arrived) + story.n_rejected + story.n_killed == total
    assert (story.printed_received, story.printed_held) == (total, 0)
    if ("deliver_odd_places", 0) not in steps:
        assert story.arrived == sorted(story.arrived, key=lambda line: int(line.split()[1]))
