"""A process that must leave before it has looked at what its predecessor left on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.pipeline_fakes import RESOURCE, FakeDestination, FakeTransport, Told
from support.spool_lives import NAME, Life
from tailrace.clock import ManualClock
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.sending.exporter import Exporter
from tailrace.pipeline.spooling.carry_over import carried_rows
from tailrace.pipeline.spooling.counter_file import read_counters
from tailrace.pipeline.spooling.folder import open_spool_folder
from tailrace.pipeline.spooling.shelf import Shelf
from tailrace.pipeline.spooling.spool import Spool
from tailrace.pipeline.surroundings import Surroundings


@pytest.mark.parametrize(("keep", "held", "dropped"), [(True, 9, {}), (False, 0, {"shutdown": 9})])
def test_what_nobody_had_time_to_look_for_is_left_to_the_next_process_or_goes_with_the_environment(
    tmp_path: Path, keep: bool, held: int, dropped: dict[str, int]
) -> None:
    clock, told, ledger = ManualClock(), Told(), Ledger()
    first = Life(tmp_path / "spool", clock, [], queue_max_bytes=10_000)
    first.come([b"line %d" % n for n in range(6)])
    first.flush_in_vain()
    first.come([b"in memory alone"] * 3)
    first.be_killed()

    folder = open_spool_folder(str(tmp_path / "spool"), ["shop"])
    fd = folder.open("counters", 0)
    carried = carried_rows(read_counters(fd))[NAME]
    row = ledger.carry_over(NAME, carried)
    spool = Spool(folder, RESOURCE, told)
    shelf = Shelf(row, lambda: spool, clock, told, 1_000_000, 3600)
    surroundings = Surroundings(RESOURCE, clock, lambda: 0.0, told)
    exporter = Exporter(FakeDestination(), FakeTransport(), row, surroundings, shelf=shelf)
    exporter.inherit(carried)
    exporter.begin_close(clock.monotonic_s(), keep)
    exporter.finish_close(clock.monotonic_s())
    printed = row.snapshot()
    exporter.run()  # its thread was late

    assert (printed.received, printed.held, printed.dropped) == (9, held, dropped)
    after = row.snapshot()
    assert (after.received, after.held, after.dropped) == (9, held, dropped)
    assert [file.suffix for file in (tmp_path / "spool").rglob("*.seg")] == [".seg"]
    spool.close()
    folder.close()
    os.close(fd)
