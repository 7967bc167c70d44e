"""At the end of an environment: what lies on disk is read and written bit by bit, for as long as there is time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.dead_letters import letter
from support.pipeline_fakes import LIMIT_S, RESOURCE, FakeDestination, FakeLimits, FakeTransport, Told
from tailrace.clock import SystemClock
from tailrace.errors import ConnectError
from tailrace.model.record import Record
from tailrace.pipeline.dead_letters.box import LetterBox
from tailrace.pipeline.dead_letters.writer import DeadLetters
from tailrace.pipeline.ledger import Ledger, RowSnapshot
from tailrace.pipeline.sending.exporter import Exporter
from tailrace.pipeline.sending.retry import Backoff
from tailrace.pipeline.sending.settings import SenderSettings
from tailrace.pipeline.spooling.folder import SpoolFolder, open_spool_folder
from tailrace.pipeline.spooling.shelf import Shelf
from tailrace.pipeline.spooling.spool import Spool
from tailrace.pipeline.surroundings import Surroundings
from tailrace.protocol.jsontext import quote

QUEUE_BYTES = 2000
BOX_BYTES = 3000
TIME = "2026-11-20T21:00:00.000Z"


class End:
    """A sender whose destination was never there, and the dead letters."""

    def __init__(self, path: Path) -> None:
        self.clock = SystemClock()
        self.told = Told()
        self.transport = FakeTransport()
        self.row = Ledger().open_row("http://logs.example/in")
        self.notes = 0
        self.threads: list[threading.Thread] = []
        surroundings = Surroundings(RESOURCE, self.clock, lambda: 0.0, self.told)
        self.letters = DeadLetters(
            FakeDestination("file:///dead"), self.transport, surroundings, BOX_BYTES,
            Backoff(0.001, 0.001), self._note,
        )  # fmt: skip
        self.letters.start(self._spawn)
        self.folder: SpoolFolder = open_spool_folder(str(path), ["shop"])
        self.spool = Spool(self.folder, RESOURCE, self.told)
        self.exporter = Exporter(
            FakeDestination(self.row.name, limits=FakeLimits(max_records=5)), FakeTransport(), self.row,
            surroundings, SenderSettings(queue_max_bytes=QUEUE_BYTES),
            shelf=Shelf(self.row, lambda: self.spool, self.clock, self.told, 10_000_000, 3600.0),
            bury=self.letters.of(self.row, self.row.name),
        )  # fmt: skip

    def _note(self) -> None:
        self.notes += 1

    def _spawn(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run)
        self.threads.append(thread)
        thread.start()

    def offer(self, n: int) -> None:
        self.exporter.offer([Record(seq, TIME, "function", None, quote(f"line {seq}")) for seq in range(1, n + 1)])

    def give_up(self, keep: bool = False) -> None:
        now_s = self.clock.monotonic_s()
        self.letters.begin_close(now_s + LIMIT_S)
        self.exporter.begin_close(now_s, keep)
        self.exporter.finish_close(now_s)
        self.letters.stream(self.exporter.remains)

    def close(self, wait_s: float = LIMIT_S) -> RowSnapshot:
        self.letters.close(self.clock.monotonic_s() + wait_s)
        counts = self.row.snapshot()
        assert counts.received == counts.accounted
        return counts

    def leave(self) -> None:
        self.transport.gate.set()
        for thread in self.threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive()
        self.spool.close()
        self.folder.close()

    def buried(self) -> list[str]:
        return [record for line in self.transport.lines for record in json.loads(line)["records"]]


@pytest.fixture
def end(tmp_path: Path) -> Iterator[End]:
    one = End(tmp_path / "spool")
    yield one
    one.leave()


def test_far_more_than_memory_holds_is_written_to_the_last_record_and_never_read_at_once(
    end: End, tmp_path: Path
) -> None:
    end.offer(2000)
    spooled = end.row.snapshot().spooled
    assert spooled > 1500
    end.give_up()
    counts = end.close()
    assert (counts.dead_lettered, counts.dropped, counts.held, counts.spooled) == (2000, {}, 0, 0)
    assert sorted(end.buried()) == sorted(quote(f"line {seq}") for seq in range(1, 2001))
    of_one_request = [
        sum(len(record) for line in request.body.split(b"\n") for record in json.loads(line)["records"])
        for request in end.transport.sent
    ]
    assert max(of_one_request) <= BOX_BYTES
    assert len(of_one_request) > 5
    assert end.notes == len(of_one_request)
    assert not list(tmp_path.rglob("*.seg"))
    assert {json.loads(line)["reason"] for line in end.transport.lines} == {"shutdown"}


def test_what_is_left_when_the_time_is_up_is_lost_by_name_written_or_not_read_yet(end: End, tmp_path: Path) -> None:
    end.offer(2000)
    end.transport.gate.clear()
    end.give_up()
    assert end.transport.entered.wait(LIMIT_S)
    counts = end.close(wait_s=0.0)
    assert (counts.dropped, counts.held) == ({"shutdown, dead_letter_shutdown": 2000}, 0)
    assert not list(tmp_path.rglob("*.seg"))
    (fields,) = (fields for _, message, fields in end.told.lines if "could not be written" in message)
    assert fields["droppedRecords"] == 2000


@pytest.mark.parametrize("wait_ms", range(0, 40, 4))
def test_whenever_the_time_is_up_each_record_has_one_outcome(end: End, wait_ms: int) -> None:
    end.offer(2000)
    end.give_up()
    counts = end.close(wait_s=wait_ms / 1000)
    assert counts.held == 0
    assert set(counts.dropped) <= {"shutdown, dead_letter_shutdown"}
    assert counts.dead_lettered + sum(counts.dropped.values()) == 2000
    assert len(end.buried()) >= counts.dead_lettered


def test_dead_letters_that_are_dead_too_cost_the_records_and_no_more_time_than_there_is(end: End) -> None:
    end.transport.always = ConnectError("connection refused")
    end.offer(500)
    end.give_up()
    counts = end.close(wait_s=0.2)
    assert (counts.dead_lettered, counts.held, sum(counts.dropped.values())) == (0, 0, 500)
    assert set(counts.dropped) <= {"shutdown, dead_letter_failed", "shutdown, dead_letter_shutdown"}


def test_what_stays_on_disk_for_another_process_is_no_dead_letter(end: End, tmp_path: Path) -> None:
    end.offer(2000)
    end.give_up(keep=True)
    counts = end.close()
    assert (counts.held, counts.spooled, counts.dead_lettered, counts.dropped) == (2000, 2000, 0, {})
    assert end.transport.sent == []
    assert list(tmp_path.rglob("*.seg"))


def test_at_the_end_a_box_takes_what_memory_held_and_asks_for_as_much_as_one_request_carries() -> None:
    box = LetterBox(150, 1000)
    assert box.put(letter(1, 3), 0.0)
    assert not box.put(letter(4, 6), 0.0)
    box.end()
    assert not box.wants(100)
    assert box.put(letter(4, 6), 0.0)
    posting, _ = box.next_posting(0.0, 0.0)
    assert posting is not None
    assert not box.wants(0)
    box.done(0.0)
    box.empty()
    assert box.wants(10_000)
