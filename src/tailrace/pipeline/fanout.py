"""Every record to many exporters. Each has its own queue and thread, so a slow one never delays another."""

from __future__ import annotations

import _thread

from tailrace.pipeline.ledger import BAD_CONFIGURATION, NO_DESTINATION, NO_DESTINATION_ROW, SHUTDOWN
from tailrace.pipeline.sending.waits import FIRST_REPLIES, OUTCOMES, REPLIES, WIRE, wait_for_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.clock import Clock
    from tailrace.model.record import Record
    from tailrace.pipeline.dead_letters.writer import DeadLetters
    from tailrace.pipeline.ledger import Ledger, LedgerRow
    from tailrace.pipeline.routing import Route, Routing
    from tailrace.pipeline.sending.exporter import Exporter


class Room:
    """What room there is for more. `promised` are the destinations that have kept some free for it.

    `is_enough`: nothing is gained by waiting; `is_some`: somebody takes it. Somebody who is up and has none is worth
    waiting for, although another, who is down, takes it. `is_hopeful`: somebody is up, so there will be more.
    """

    __slots__ = ("is_enough", "is_hopeful", "is_some", "promised")

    def __init__(
        self, promised: Sequence[Exporter], is_enough: bool, is_some: bool = True, is_hopeful: bool = True
    ) -> None:
        self.promised = promised
        self.is_enough = is_enough
        self.is_some = is_some
        self.is_hopeful = is_hopeful


class Fanout:
    """All destinations as one. With none, a row named ``none`` counts every record as dropped (`no_destination`).

    `unusable` are the rows of destinations that were asked for and cannot be built: they count every record as
    dropped (`bad_configuration`). `routes`, one for each exporter, say what it does not take: that is filtered.
    """

    __slots__ = (
        "_clock",
        "_dead_letters",
        "_exporters",
        "_is_over",
        "_lock",
        "_nowhere",
        "_routing",
        "_rows",
        "_unusable",
        "received",
    )

    def __init__(
        self,
        exporters: Sequence[Exporter],
        ledger: Ledger,
        clock: Clock,
        unusable: Sequence[LedgerRow] = (),
        dead_letters: DeadLetters | None = None,
        routes: Sequence[Route] = (),
    ) -> None:
        self._routing: Routing | None = None
        if routes:
            from tailrace.pipeline.routing import Routing

            self._routing = Routing(exporters, routes)
        self._dead_letters = dead_letters
        self._clock = clock
        self._lock = _thread.allocate_lock()
        self._is_over = False
        self.received = 0  # records that came in here, ever
        self._exporters = list(exporters)
        self._unusable = list(unusable)
        self._rows: list[LedgerRow] = [e.row for e in self._exporters] + self._unusable
        self._nowhere = None if self._rows else ledger.open_row(NO_DESTINATION_ROW)
        if self._nowhere is not None:
            self._rows.append(self._nowhere)

    @property
    def exporters(self) -> list[Exporter]:
        return list(self._exporters)

    @property
    def any_up(self) -> bool:
        """Whether there is a destination worth waiting for."""
        return any(e.is_worth_waiting_for for e in self._exporters)

    @property
    def is_warm(self) -> bool:
        """Whether every destination that is up has answered before, over a connection that stands."""
        return all(e.is_warm for e in self._exporters if e.is_up)

    def start(self, spawn: Callable[[Callable[[], None]], object]) -> None:
        """Give every exporter its thread; `spawn` starts one that runs what it is given."""
        for exporter in self._exporters:
            exporter.start(spawn)
        if self._dead_letters is not None:
            self._dead_letters.start(spawn)

    # -- the intake's side

    def make_room(self, n_bytes: int, promised_bytes: int = 0) -> Room:
        """What room there is for records of `n_bytes` in all, after what can be put on disk was put there, beside
        those of `promised_bytes` that were told before that there is some, and are still to come.

        One destination's lack of it is no reason to refuse what another takes. Where there is none that could take
        anything, everything is lost by name, and room is not what is missing.
        """
        on_duty = self._on_duty()
        promised = [exporter for exporter in on_duty if exporter.make_room(n_bytes, promised_bytes)]
        up = [exporter for exporter in on_duty if exporter.is_worth_waiting_for]
        letters = self._dead_letters
        is_some = bool(promised) or not on_duty or (letters is not None and letters.has_room(n_bytes + promised_bytes))
        return Room(promised, is_some and (not up or any(one in promised for one in up)), is_some, bool(up))

    def _on_duty(self) -> list[Exporter]:
        return self._exporters if self._routing is None else self._routing.on_duty()

    # -- the worker's side

    def offer(self, records: Sequence[Record], promised: Sequence[Exporter] = ()) -> None:
        """`promised` are those that have room for these records, whatever they come to; see `Room`."""
        with self._lock:
            if not self._is_over:
                self.received += len(records)
                self._offer(records, promised)

    def _offer(self, records: Sequence[Record], promised: Sequence[Exporter]) -> None:
        parts = None if self._routing is None else self._routing.divided(records)
        for place, exporter in enumerate(self._exporters):
            taken = records if parts is None else parts[place]
            exporter.offer(taken, exporter in promised)
            left_out = len(records) - len(taken)
            if left_out:
                exporter.row.receive(left_out)
                exporter.row.filter(left_out)
        for row in self._unusable:
            row.receive(len(records))
            row.drop(len(records), BAD_CONFIGURATION)
        if self._nowhere is not None:
            self._nowhere.receive(len(records))
            self._nowhere.drop(len(records), NO_DESTINATION)

    def begin_body(self) -> None:
        """The records of another telemetry post come: filters have time for these."""
        if self._routing is not None:
            self._routing.begin_body()

    def offer_own(self, record: Record) -> None:
        """A record of the agent's own, for every destination that takes any now. It is counted in the rows; that it did
        not come from the platform is noted there."""
        for exporter in self._on_duty():
            exporter.row.take_own(1)
            exporter.offer([record])

    def filter(self, n: int = 1) -> None:
        """`n` records came in that no destination gets."""
        with self._lock:
            if not self._is_over:
                self.received += n
                for row in self._rows:
                    row.receive(n)
                    row.filter(n)

    def drop(self, n: int, reason: str) -> None:
        """`n` records came in and are lost before any destination saw them."""
        with self._lock:
            if not self._is_over:
                self._drop(n, reason)

    def _drop(self, n: int, reason: str) -> None:
        self.received += n
        for row in self._rows:
            row.receive(n)
            row.drop(n, reason)

    def give_up_on(self, n_admitted: int) -> int:
        """The worker has no more time: what of the first `n_admitted` records it has not brought here by now is lost.
        What it brings later was counted by that. Returns how many records these are."""
        with self._lock:
            n_lost = max(0, n_admitted - self.received)
            if n_lost:
                self._drop(n_lost, SHUTDOWN)
            self._is_over = True
            return n_lost

    # -- the lifecycle's side

    def request_flush(self) -> None:
        for exporter in self._exporters:
            exporter.request_flush()

    def wait_drained(self, deadline_s: float, full: bool = True) -> bool:
        """True when every destination that is up has taken what was offered; see `Exporter.wait_drained`."""
        return wait_for_all([exporter.wait(OUTCOMES, deadline_s, full) for exporter in self._exporters])

    def hurry_from(self, moment_s: float) -> None:
        """An invocation begins. From this moment on records leave as they come."""
        for exporter in self._exporters:
            exporter.hurry_from(moment_s)
            exporter.invoked()

    def thawed(self) -> None:
        """The sandbox stood still for long; see `Exporter.thawed`."""
        for exporter in self._exporters:
            exporter.thawed()

    def wait_written(self, until_s: float, full: bool = False) -> bool:
        """True when every destination that is up has taken what was offered, or has it on its wire."""
        return wait_for_all([exporter.wait(WIRE, until_s, full) for exporter in self._exporters])

    def wait_flushed(self, write_until_s: float, reply_until_s: float, glance_s: float | None, full: bool) -> bool:
        """Wait until everything is on the wire, and then `glance_s` for those replies that usually come so soon; for
        replies in full where there is no glance, and of destinations that are not warm. What is not done by then is
        written to disk as well. All of them are waited for at the same time."""
        reply_wait_s = reply_until_s - self._clock.monotonic_s()
        waits, glanced = [], []
        for exporter in self._exporters:
            if glance_s is None:
                waits.append(exporter.wait(REPLIES, reply_until_s, full, backs_up=True))
            elif exporter.takes_the_wire_for_it(reply_wait_s):
                glanced.append(exporter)
                waits.append(exporter.wait(WIRE, write_until_s, full, backs_up=True))
            else:
                waits.append(exporter.wait(FIRST_REPLIES, reply_until_s, full, backs_up=True))
        flushed = wait_for_all(waits)
        if glance_s:
            until_s = min(self._clock.monotonic_s() + glance_s, reply_until_s)
            waits = [one.wait(OUTCOMES, until_s, full=False) for one in glanced if one.answers_within(glance_s)]
            wait_for_all(waits)
        return flushed

    def deliver_until_s(self, deadline_s: float) -> float:
        """When to stop delivering, so that there is time before `deadline_s` to write down what could not be."""
        if self._dead_letters is None:
            return deadline_s
        return deadline_s - self._dead_letters.reserve_s(deadline_s - self._clock.monotonic_s())

    def close(self, deadline_s: float, keep: bool = False) -> None:
        """Final flush of all at once. After it no row holds anything, or, with `keep`, nothing that is not on disk."""
        from tailrace.pipeline.last_flush import close_all

        close_all(self._exporters, self._dead_letters, self._clock, deadline_s, keep)
