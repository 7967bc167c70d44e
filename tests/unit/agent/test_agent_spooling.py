"""The agent's folder on ephemeral storage, where something is odd about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.pipeline_fakes import RESOURCE, Told
from tailrace.agent.spooling import COUNTERS, open_spooling
from tailrace.clock import ManualClock
from tailrace.config.settings import load_settings
from tailrace.pipeline.ledger import Ledger


def folder_of(base: Path) -> Path:
    (folder,) = base.iterdir()
    return folder


@pytest.mark.parametrize("kind", ["link", "link to nowhere", "folder"])
def test_with_something_else_in_the_place_of_the_counters_nothing_is_written_there(tmp_path: Path, kind: str) -> None:
    base, told = tmp_path / "spool", Told()
    settings = load_settings({"TAILRACE_SPOOL_DIR": str(base)})
    first = open_spooling({}, settings, RESOURCE, Ledger(), ManualClock(), told)
    assert first.account is not None
    assert told.lines == []
    counters = folder_of(base) / COUNTERS
    counters.unlink()
    victim = tmp_path / "victim"
    if kind == "folder":
        counters.mkdir()
    else:
        victim.write_bytes(b"untouched" if kind == "link" else b"")
        counters.symlink_to(victim if kind == "link" else tmp_path / "nowhere")
    before = sorted(folder_of(base).iterdir())

    ledger = Ledger()
    spooling = open_spooling({}, settings, RESOURCE, ledger, ManualClock(), told)

    assert (spooling.account, spooling.shelf(ledger.open_row("fake://one"))) == (None, None)
    ((_, message, fields),) = told.lines
    assert "they wait in memory only" in message
    assert COUNTERS in str(fields["reason"])
    assert sorted(folder_of(base).iterdir()) == before
    assert not (tmp_path / "nowhere").exists()
    if kind == "link":
        assert victim.read_bytes() == b"untouched"
