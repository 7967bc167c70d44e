"""Every record to many exporters. Each has its own queue and thread, so a slow one never delays another."""

from __future__ import annotations

from tailrace.pipeline.ledger import BAD_CONFIGURATION, NO_DESTINATION, NO_DESTINATION_ROW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.clock import Clock
    from tailrace.model.record import Record
    from tailrace.pipeline.dead_letters.writer import DeadLetters
    from tailrace.pipeline.ledger import Ledger, LedgerRow
    from tailrace.pipeline.routing import Route, Routing
    from tailrace.pipeline.sending.exporter import Exporter


PATIENCE_S = 2.0
# How often it looks whether another destination has room; the one it waits for wakes it.
_LOOK_S = 0.05


class Patience:
    """How long the worker may still wait for room: `most_s` at a stretch, earned back by time without waiting. Pure."""

    __slots__ = ("_as_of_s", "_left_s", "_most_s")

    def __init__(self, now_s: float, most_s: float = PATIENCE_S) -> None:
        self._most_s = most_s
        self._left_s = most_s
        self._as_of_s = now_s

    def left_s(self, now_s: float) -> float:
        return min(self._most_s, self._left_s + now_s - self._as_of_s)

    def waited(self, wait_s: float, now_s: float) -> None:
        """Until `now_s`, for `wait_s`."""
        self._left_s = self.left_s(now_s - wait_s) - wait_s
        self._as_of_s = now_s


class Fanout:
    """All destinations as one. With none, a row named ``none`` counts every record as dropped (`no_destination`).

    `unusable` are the rows of destinations that were asked for and cannot be built: they count every record as
    dropped (`bad_configuration`). `routes`, one for each exporter, say what it does not take: that is filtered.
    """

    __slots__ = (
        "_clock",
        "_dead_letters",
        "_exporters",
        "_may_wait",
        "_nowhere",
        "_patience",
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
        patience_s: float = PATIENCE_S,
        dead_letters: DeadLetters | None = None,
        routes: Sequence[Route] = (),
    ) -> None:
        self._routing: Routing | None = None
        if routes:
            from tailrace.pipeline.routing import Routing

            self._routing = Routing(exporters, routes)
        self._dead_letters = dead_letters
        self._clock = clock
        self._patience = Patience(clock.monotonic_s(), patience_s)
        self._may_wait = True
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
        return any(e.is_up for e in self._exporters)

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

    # -- the worker's side

    def wait_for_room(self, n_bytes: int) -> None:
        """Wait while no destination that is up could take records of `n_bytes` in all.

        While the worker stands still the intake fills up and telemetry posts are held: the platform keeps what would
        be dropped here. One destination with room ends the wait, so nobody is delayed by another. The wait is
        bounded, because it delays the end of the invocation, too; destinations that moved nothing all the while
        count as down, and are not waited for again until they answer.
        """
        full = self._full(n_bytes)
        if not full:
            return
        settled = {exporter: exporter.settled for exporter in full}
        began_s = now_s = self._clock.monotonic_s()
        give_up_s = began_s + self._patience.left_s(began_s)
        while full and now_s < give_up_s:
            full[0].wait_for_room(n_bytes, min(_LOOK_S, give_up_s - now_s))
            full = self._full(n_bytes)
            now_s = self._clock.monotonic_s()
        self._patience.waited(now_s - began_s, now_s)
        for exporter in full:
            if exporter.settled == settled.get(exporter):
                exporter.give_up_waiting()

    def wait_no_more(self) -> None:
        """From now on there is no time for `wait_for_room`."""
        self._may_wait = False

    def _full(self, n_bytes: int) -> list[Exporter]:
        """The destinations that are up, where none of them has room; else nothing."""
        up = [exporter for exporter in self._exporters if exporter.is_up] if self._may_wait else []
        return up if all(exporter.is_full(n_bytes) for exporter in up) else []

    def offer(self, records: Sequence[Record]) -> None:
        self.received += len(records)
        parts = None if self._routing is None else self._routing.divided(records)
        for place, exporter in enumerate(self._exporters):
            taken = records if parts is None else parts[place]
            exporter.offer(taken)
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

    def offer_own(self, record: Record) -> None:
        """A record of the agent's own, for every destination that takes any now. It is counted in the rows; that it did
        not come from the platform is noted there."""
        for exporter in self._exporters if self._routing is None else self._routing.on_duty():
            exporter.row.take_own(1)
            exporter.offer([record])

    def filter(self, n: int = 1) -> None:
        """`n` records came in that no destination gets."""
        self.received += n
        for row in self._rows:
            row.receive(n)
            row.filter(n)

    def drop(self, n: int, reason: str) -> None:
        """`n` records came in and are lost before any destination saw them."""
        self.received += n
        for row in self._rows:
            row.receive(n)
            row.drop(n, reason)

    # -- the lifecycle's side

    def request_flush(self) -> None:
        for exporter in self._exporters:
            exporter.request_flush()

    def wait_drained(self, deadline_s: float, full: bool = True) -> bool:
        """True when every destination that is up has taken what was offered; see `Exporter.wait_drained`."""
        drained = True
        for exporter in self._exporters:
            drained = exporter.wait_drained(deadline_s, full) and drained  # each is asked, whatever the others said
        return drained

    def hurry_from(self, moment_s: float) -> None:
        """From this moment on records leave as they come."""
        for exporter in self._exporters:
            exporter.hurry_from(moment_s)

    def thawed(self) -> None:
        """The sandbox stood still for long; see `Exporter.thawed`."""
        for exporter in self._exporters:
            exporter.thawed()

    def wait_written(self, until_s: float, full: bool = False) -> bool:
        """True when every destination that is up has taken what was offered, or has it on its wire."""
        written = True
        for exporter in self._exporters:
            written = exporter.wait_written(until_s, full) and written
        return written

    def wait_flushed(self, write_until_s: float, reply_until_s: float, glance_s: float | None, full: bool) -> bool:
        """Wait until everything is on the wire, and then `glance_s` for those replies that usually come so soon; for
        replies in full where there is no glance, and of destinations that are not warm."""
        glanced = [e for e in self._exporters if glance_s is not None and e.is_warm]
        flushed = True
        for exporter in self._exporters:
            if exporter not in glanced:
                flushed = exporter.wait_drained(reply_until_s, full) and flushed
        for exporter in glanced:
            flushed = exporter.wait_written(write_until_s, full) and flushed
        if glance_s:
            until_s = min(self._clock.monotonic_s() + glance_s, reply_until_s)
            for exporter in glanced:
                if exporter.answers_within(glance_s):
                    exporter.wait_answered(until_s)
        return flushed

    def deliver_until_s(self, deadline_s: float) -> float:
        """When to stop delivering, so that there is time before `deadline_s` to write down what could not be."""
        if self._dead_letters is None:
            return deadline_s
        return deadline_s - self._dead_letters.reserve_s(deadline_s - self._clock.monotonic_s())

    def close(self, deadline_s: float, keep: bool = False) -> None:
        """Final flush of all at once. After it no row holds anything, or, with `keep`, nothing that is not on disk."""
        until_s = self.deliver_until_s(deadline_s)
        for exporter in self._exporters:
            exporter.begin_close(until_s, keep)
        for exporter in self._exporters:
            exporter.finish_close(until_s)
        if self._dead_letters is not None:
            self._dead_letters.close(deadline_s)
