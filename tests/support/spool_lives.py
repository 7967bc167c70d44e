"""Processes of one environment, one after the other, with a real folder between them and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from support.pipeline_fakes import RESOURCE, FakeDestination, FakeLimits, Told
from tailrace.clock import ManualClock
from tailrace.model.resource import Resource
from tailrace.pipeline.ledger import Ledger, RowSnapshot
from tailrace.pipeline.messages import DELIVERED, PARTIAL, REJECTED, SPLIT, Outcome
from tailrace.pipeline.sealed import Sealed
from tailrace.pipeline.sending.batcher import Entry
from tailrace.pipeline.sending.sender import Sender
from tailrace.pipeline.sending.settings import SenderSettings
from tailrace.pipeline.spooling.account import Account
from tailrace.pipeline.spooling.carried_row import CarriedRow
from tailrace.pipeline.spooling.carry_over import carried_rows
from tailrace.pipeline.spooling.counter_file import CounterFile, read_counters
from tailrace.pipeline.spooling.folder import SpoolFolder, open_spool_folder
from tailrace.pipeline.spooling.shelf import Shelf
from tailrace.pipeline.spooling.spool import Spool

NAME = "fake://one"
TIME = "2026-11-20T21:00:00.000Z"


class Life:
    """One process: a sender with a shelf, a ledger and a counter file. `arrived` is the destination's side."""

    def __init__(
        self,
        path: Path,
        clock: ManualClock,
        arrived: list[bytes],
        *,
        queue_max_bytes: int = 400,
        max_records: int = 4,
        spool_max_bytes: int = 1_000_000,
        max_age_s: float = 3600,
        number: int = 0,
    ) -> None:
        self.clock = clock
        self.arrived = arrived
        self.told = Told()
        self.folder: SpoolFolder = open_spool_folder(str(path), ["shop"])
        self.ledger = Ledger()
        self.row = self.ledger.open_row(NAME)
        self.resource = Resource(RESOURCE.function_name, f"process-{number}")
        self.spool: Spool | None = None
        self.shelf = Shelf(self.row, self._open, clock, self.told, spool_max_bytes, max_age_s)
        limits = FakeLimits(max_records=max_records, max_bytes=10_000)
        settings = SenderSettings(queue_max_bytes=queue_max_bytes)
        destination = FakeDestination()
        self.sender = Sender(self.row, limits, True, settings, destination.truncate_record, self.shelf)
        fd = self.folder.open("counters", os.O_RDWR | os.O_CREAT)
        previous = read_counters(fd)
        self.carried: CarriedRow | None = carried_rows(previous).get(NAME)
        self._fd = fd
        self.account = Account(self.ledger, CounterFile(fd, previous), self.told)
        self._next_seq = 1
        self._came = 0
        if self.carried is not None:
            self.row.carry_over(self.carried)
        self.account.note()
        for notice in self.sender.take_over(self.shelf.restore(), self.carried):
            self.told(notice.level, notice.message, **notice.fields)
        self.account.note()

    def _open(self) -> Spool:
        if self.spool is None:
            self.spool = Spool(self.folder, self.resource, self.told)
        return self.spool

    def acknowledge(self, n: int) -> None:
        """A post of `n` events is in the intake and answered."""
        self.account.admitted(n)

    def offer(self, lines: list[bytes]) -> None:
        """The worker brings the records of the first post that was acknowledged."""
        entries = [Entry(line, self._next_seq + i, TIME) for i, line in enumerate(lines)]
        self._next_seq += len(lines)
        self.sender.offered(entries, self.clock.monotonic_s(), TIME)
        self._came += len(lines)
        self.account.processed(self._came)

    def come(self, lines: list[bytes]) -> None:
        self.acknowledge(len(lines))
        self.offer(lines)

    def next(self) -> Sealed | None:
        """The batch that would be sent now."""
        self.sender.flush()
        return self.sender.next_step(self.clock.monotonic_s() + 1e6).sealed

    def deliver(self) -> int:
        """Send one batch; how many records arrived."""
        sealed = self.next()
        if sealed is None:
            return 0
        self.arrived += sealed.batch.parts
        self._answer(Outcome(DELIVERED), sealed)
        return len(sealed)

    def deliver_all(self) -> None:
        while self.deliver():
            pass

    def split(self) -> None:
        sealed = self.next()
        if sealed is not None and len(sealed) > 1:
            self._answer(Outcome(SPLIT), sealed)

    def reject(self) -> int:
        sealed = self.next()
        if sealed is None:
            return 0
        self._answer(Outcome(REJECTED, "odd"), sealed)
        return len(sealed)

    def deliver_odd_places(self) -> None:
        """Every second record is taken, the others shall come again."""
        sealed = self.next()
        if sealed is not None:
            self.arrived += sealed.batch.parts[1::2]
            self._answer(Outcome(PARTIAL, "busy", again=range(0, len(sealed), 2)), sealed)

    def send_in_vain(self) -> None:
        """All of a batch is on the wire, and there is no reply."""
        sealed = self.next()
        if sealed is not None:
            self.sender.written(sealed)
            self.sender.no_reply("timeout", self.clock.monotonic_s(), 0.0, sealed)

    def flush_in_vain(self) -> None:
        """The end of an invocation, and its deadline: what was not delivered is written down."""
        self.sender.flush()
        while self.sender.back_up():
            pass
        self.account.note()

    def leave(self) -> RowSnapshot:
        """SHUTDOWN of an environment that goes on: the ledger's row as it is printed."""
        self.sender.close(keep=True)
        self.sender.abandon()
        self.account.close()
        self.be_killed()
        return self.row.snapshot()

    def be_killed(self) -> None:
        """As after kill -9: nothing is written any more, and the kernel takes the descriptors back."""
        if self.spool is not None:
            self.spool.close()
        os.close(self._fd)
        self.folder.close()

    def _answer(self, outcome: Outcome, sealed: Sealed) -> None:
        self.sender.replied(outcome, self.clock.monotonic_s(), 0.0, sealed)
        self.account.note()
