"""The agent's folder on ephemeral storage, where something is odd about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.namespaces import needs_namespaces
from support.pipeline_fakes import RESOURCE, Told
from tailrace.agent.spooling import COUNTERS, open_spooling
from tailrace.clock import ManualClock
from tailrace.config.settings import load_settings
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.surroundings import Surroundings


def surroundings_of(told: Told) -> Surroundings:
    return Surroundings(RESOURCE, ManualClock(), lambda: 0.5, told)


def folder_of(base: Path) -> Path:
    (folder,) = base.iterdir()
    return folder


@pytest.mark.parametrize("kind", ["link", "link to nowhere", "folder"])
def test_with_something_else_in_the_place_of_the_counters_nothing_is_written_there(tmp_path: Path, kind: str) -> None:
    base, told = tmp_path / "spool", Told()
    settings = load_settings({"TAILRACE_SPOOL_DIR": str(base)})
    first = open_spooling({}, settings, Ledger(), surroundings_of(told))
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
    spooling = open_spooling({}, settings, ledger, surroundings_of(told))

    assert (spooling.account, spooling.shelf(ledger.open_row("fake://one"))) == (None, None)
    ((_, message, fields),) = told.lines
    assert "they wait in memory only" in message
    assert COUNTERS in str(fields["reason"])
    assert sorted(folder_of(base).iterdir()) == before
    assert not (tmp_path / "nowhere").exists()
    if kind == "link":
        assert victim.read_bytes() == b"untouched"


ON_A_FULL_DISK = """
import os, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", sys.argv[1]], check=True)
from support.pipeline_fakes import RESOURCE, Told
from tailrace.agent.spooling import COUNTERS, open_spooling
from tailrace.clock import ManualClock
from tailrace.config.settings import load_settings
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.surroundings import Surroundings

def process(received):
    told, ledger = Told(), Ledger()
    spooling = open_spooling({}, settings, ledger, Surroundings(RESOURCE, ManualClock(), lambda: 0.5, told))
    row = ledger.open_row("x") if not spooling.carried else None
    spooling.go_on(ledger, [])
    if spooling.account is not None and row is not None:
        row.receive(received)
        spooling.account.note()
        spooling.account.note()
    dropped = {name: row.dropped for name, row in ledger.snapshot().items()}
    print(spooling.account is not None, dropped, [m for _, m, _ in told.lines], len(os.listdir("/proc/self/fd")))

settings = load_settings({"TAILRACE_SPOOL_DIR": sys.argv[1] + "/spool"})
process(3)
(folder,) = os.listdir(sys.argv[1] + "/spool")
counters = f"{sys.argv[1]}/spool/{folder}/{COUNTERS}"
if sys.argv[2] == "short":
    os.truncate(counters, 4096 + 65536 + 4096)  # as if no room had been kept
else:
    os.unlink(counters)
with open(sys.argv[1] + "/full", "wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            pass
    except OSError:
        pass
for _ in range(3):
    process(0)
"""


def on_a_full_disk(folder: Path, counters: str) -> list[str]:
    """What one process, and then three on a full disk say; the file of the first one is `short` or `gone`."""
    command = ["unshare", "-rm", sys.executable, "-c", ON_A_FULL_DISK, str(folder), counters]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environ, capture_output=True, check=True, timeout=60)
    return done.stdout.decode().splitlines()


@needs_namespaces
def test_on_a_full_disk_the_file_of_a_former_process_goes_on_being_the_account(tmp_path: Path) -> None:
    first, second, third, fourth = on_a_full_disk(tmp_path, "short")
    assert first.startswith("True {'x': {}} []")
    assert second.startswith("True {'x': {'process_killed': 3}} []")
    # each goes on with the figures of the one before, and loses nothing twice
    assert [third.split("]")[0], fourth.split("]")[0]] == [second.split("]")[0]] * 2


@needs_namespaces
def test_on_a_full_disk_without_such_a_file_there_is_no_account_and_nothing_stays_open(tmp_path: Path) -> None:
    _, *lines = on_a_full_disk(tmp_path, "gone")
    assert all(line.startswith("False {'x': {}} ['the counter file cannot be written") for line in lines)
    n_open = [int(line.split()[-1]) for line in lines]
    assert n_open == [n_open[0], n_open[0] + 2, n_open[0] + 4]  # the spool's folder and its lock, for what lies there
