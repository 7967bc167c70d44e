"""What a process leaves of its account when it is killed, cut at any byte."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pipeline_fakes import Told
from tailrace.pipeline.ledger import OTHER_REASONS, Ledger
from tailrace.pipeline.spooling.account import Account
from tailrace.pipeline.spooling.carry_over import carried_rows
from tailrace.pipeline.spooling.counter_file import CounterFile, Previous, read_counters, reserve


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "counters", os.O_RDWR | os.O_CREAT, 0o600)
    yield fd
    os.close(fd)


def test_an_empty_file_says_nothing(fd: int) -> None:
    previous = read_counters(fd)
    assert (previous.process, previous.acknowledged, previous.rows) == (0, 0, {})
    assert carried_rows(previous) == {}


def test_the_last_rows_and_the_last_count_are_read(fd: int) -> None:
    file = CounterFile(fd, Previous())
    for n in range(1, 6):
        file.write_rows({"a": {"received": n}})
        file.acknowledge(n * 10)
    previous = read_counters(fd)
    assert previous.rows == {"a": {"received": 5}}
    assert (previous.acknowledged, previous.is_closed, previous.process) == (50, False, 1)
    CounterFile(fd, previous).write_rows({}, is_closed=True)
    assert read_counters(fd).is_closed


def test_a_new_process_does_not_inherit_a_count_that_it_has_taken_over(fd: int) -> None:
    file = CounterFile(fd, Previous())
    file.write_rows({"a": {"received": 3}})
    file.acknowledge(7)
    CounterFile(fd, read_counters(fd)).write_rows({"a": {"received": 7}})
    assert read_counters(fd).acknowledged == 0


def test_a_write_that_is_cut_leaves_the_one_before_it(fd: int, tmp_path: Path) -> None:
    file = CounterFile(fd, Previous())
    file.write_rows({"a": {"received": 1}})
    before = (tmp_path / "counters").read_bytes()
    file.write_rows({"a": {"received": 2}})
    after = (tmp_path / "counters").read_bytes()
    size = max(len(before), len(after))
    before, after = before.ljust(size, b"\0"), after.ljust(size, b"\0")
    changed = [at for at in range(size) if before[at] != after[at]]
    for cut in range(changed[0], changed[-1] + 1):
        os.pwrite(fd, after[:cut] + before[cut:], 0)
        assert read_counters(fd).rows["a"] == {"received": 1}
    os.pwrite(fd, after, 0)
    assert read_counters(fd).rows["a"] == {"received": 2}


def test_garbage_says_nothing(fd: int) -> None:
    for text in (b"9 9 9 9", b"1 2 3", b"\xff" * 5000, b"5 1\n[[[[[\n1\n", b"2 1\n{}\n1\n", b"99999999 1\n"):
        os.ftruncate(fd, 0)
        os.pwrite(fd, text, 0)
        os.pwrite(fd, text, 4096)
        assert read_counters(fd).rows == {}


def test_bodies_are_counted_before_they_are_split_and_exactly_after(fd: int) -> None:
    ledger = Ledger()
    row = ledger.open_row("a")
    account = Account(ledger, CounterFile(fd, Previous()), Told())
    account.note()
    account.admitted(2)
    assert read_counters(fd).acknowledged == 2
    account.admitted(1)
    assert read_counters(fd).acknowledged == 3
    row.receive(2)
    account.processed(2)
    account.admitted(1)
    assert read_counters(fd).acknowledged == 4
    row.receive(1)
    account.processed(3)
    assert read_counters(fd).acknowledged == 4
    assert read_counters(fd).rows["a"]["held"] == 3


def test_a_disk_that_takes_nothing_is_said_once(tmp_path: Path) -> None:
    told = Told()
    full = os.open("/dev/full", os.O_RDWR)
    try:
        account = Account(Ledger(), CounterFile(full, Previous()), told)
        for _ in range(3):
            account.admitted(1)
            account.note()
            account.close()
    finally:
        os.close(full)
    assert [line[0] for line in told.lines] == ["warn"]


def test_rows_that_count_no_records_of_the_platform_are_carried_as_they_are(fd: int) -> None:
    ledger = Ledger()
    ledger.open_row("a")
    ledger.refuse("intake_full")
    account = Account(ledger, CounterFile(fd, Previous()), Told())
    account.note()
    account.admitted(9)
    carried = carried_rows(read_counters(fd))
    assert (carried["a"].received, carried["a"].held) == (9, 9)
    assert (carried["refused"].received, carried["refused"].rejected) == (1, {"intake_full": 1})


def test_the_room_for_every_later_write_is_taken_at_the_beginning(fd: int) -> None:
    reserve(fd)
    reserved = os.fstat(fd)
    assert read_counters(fd).process == 0
    file = CounterFile(fd, Previous())
    for n in range(4):
        file.write_rows({"a": {"received": n, "padding": "x" * 60_000}})
    written = os.fstat(fd)
    assert written.st_blocks == reserved.st_blocks
    assert written.st_size == reserved.st_size


def test_a_ledger_that_has_no_room_is_written_without_its_reasons_and_that_is_said_once(fd: int) -> None:
    ledger, told = Ledger(), Told()
    rows = [ledger.open_row(f"https://{n}.example/{'p' * 400}") for n in range(60)]
    account = Account(ledger, CounterFile(fd, Previous()), told)
    account.note()
    for row in rows:
        row.receive(40)
        for n in range(30):
            row.reject(1, f"status {n}: {'what the server calls it ' * 4}")
    account.note()
    killed = read_counters(fd)
    assert not killed.is_closed
    assert len(killed.rows) == 60
    assert all(row["rejected"] == {OTHER_REASONS: 30} and row["held"] == 10 for row in killed.rows.values())
    account.close()
    assert read_counters(fd).is_closed
    assert len(told.lines) == 1


def test_with_more_rows_than_there_is_room_for_it_is_still_known_that_the_figures_were_printed(fd: int) -> None:
    file = CounterFile(fd, Previous())
    rows: dict[str, dict[str, object]] = {f"https://{n}.example/{'p' * 800}": {"held": n} for n in range(100)}
    assert not file.write_rows(rows, is_closed=True)
    printed = read_counters(fd)
    assert printed.is_closed
    assert [row["held"] for row in printed.rows.values()] == list(range(len(printed.rows)))
    assert len(printed.rows) > 70


def test_a_sender_that_comes_back_late_does_not_undo_that_the_figures_were_printed(fd: int) -> None:
    account = Account(Ledger(), CounterFile(fd, Previous()), Told())
    account.note()
    assert not read_counters(fd).is_closed
    account.close()
    account.note()
    account.processed(3)
    assert read_counters(fd).is_closed


@pytest.mark.parametrize(("is_printed", "missing"), [(False, (0, 6)), (True, (6, 0))])
def test_what_a_killed_process_had_taken_off_the_disk_and_not_counted_went_with_it(
    fd: int, is_printed: bool, missing: tuple[int, int]
) -> None:
    ledger = Ledger()
    row = ledger.open_row("a")
    row.receive(10)
    row.spool(10)
    account = Account(ledger, CounterFile(fd, Previous()), Told())
    account.note()
    if is_printed:
        account.close()
    # six of them were delivered and marked in the spool, and then the process was killed
    assert carried_rows(read_counters(fd))["a"].missing(4) == missing


def test_what_a_process_held_that_left_before_it_had_looked_at_the_disk_is_no_lost_file(fd: int) -> None:
    """Its predecessor was killed, and held ten records: four of them on disk."""
    ledger = Ledger()
    ledger.open_row("a").receive(10)
    account = Account(ledger, CounterFile(fd, Previous()), Told())
    account.close()

    carried = carried_rows(read_counters(fd))["a"]

    assert (carried.received, carried.taken_over) == (10, 10)
    assert carried.missing(4) == (0, 6)
