"""One destination's sender: the thin shell around `Sender`, with its thread, its lock and the network."""

from __future__ import annotations

from tailrace.clock import rfc3339_ms
from tailrace.pipeline import ledger
from tailrace.pipeline.sending.attempt import Attempts, describe
from tailrace.pipeline.sending.batcher import Entry
from tailrace.pipeline.sending.lanes import Lanes
from tailrace.pipeline.sending.patience import Patience
from tailrace.pipeline.sending.sender import Sender
from tailrace.pipeline.sending.settings import SenderSettings
from tailrace.pipeline.sending.waits import OUTCOMES, WIRE, Wait, Waits, wait_for_all
from tailrace.pipeline.sync import Monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.model.record import Record
    from tailrace.pipeline.interfaces import Bury, Destination, Transport
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.sending.lanes import Spawn
    from tailrace.pipeline.sending.notices import Notice
    from tailrace.pipeline.sending.remains import Remains
    from tailrace.pipeline.sending.waits import Goal
    from tailrace.pipeline.spooling.carried_row import CarriedRow
    from tailrace.pipeline.spooling.shelf import Shelf
    from tailrace.pipeline.surroundings import Surroundings


class Exporter:
    """Takes records from the worker, brings them to one destination, books every outcome in `ledger_row`.

    `run` is the sender thread's whole life; all other methods may be called from any thread and none but
    those called `wait_...` and `finish_close` wait. `transport` is used and closed by the sender thread alone.

    Further threads with transports of their own (made by `express`) join when they are needed; see `Lanes`.
    """

    __slots__ = (
        "_attempts",
        "_carried",
        "_clock",
        "_destination",
        "_diagnostics",
        "_lanes",
        "_monitor",
        "_note",
        "_patience",
        "_resource",
        "_restores",
        "_row",
        "_sender",
        "_shelf",
        "_waits",
    )

    def __init__(
        self,
        destination: Destination,
        transport: Transport,
        ledger_row: LedgerRow,
        surroundings: Surroundings,
        settings: SenderSettings | None = None,
        express: Callable[[], Transport] | None = None,
        shelf: Shelf | None = None,
        note: Callable[[], None] | None = None,
        bury: Bury | None = None,
    ) -> None:
        settings = settings or SenderSettings()
        self._destination = destination
        self._row = ledger_row
        self._resource = resource = surroundings.resource
        self._clock = clock = surroundings.clock
        self._diagnostics = surroundings.diagnostics
        self._shelf = shelf
        self._note = note
        self._carried: CarriedRow | None = None
        self._restores = False
        self._sender = sender = Sender(
            ledger_row, destination.limits, destination.idempotent, settings, destination.truncate_record, shelf, bury
        )
        self._monitor = monitor = Monitor()
        self._patience = patience = Patience(settings.wait_cap_s)
        timeout_s = settings.attempt_timeout_s
        self._attempts = attempts = Attempts(
            destination, resource, sender, monitor, patience, clock, surroundings.random, timeout_s, self._came_to
        )
        self._lanes = lanes = Lanes(sender, monitor, clock, attempts, transport, express)
        self._waits = Waits(sender, monitor, patience, lanes, clock, self._say, self._is_catching_up)

    @property
    def name(self) -> str:
        """The name of its row in the ledger."""
        return self._row.name

    @property
    def row(self) -> LedgerRow:
        return self._row

    @property
    def is_up(self) -> bool:
        with self._monitor:
            return self._sender.availability.is_up

    @property
    def is_warm(self) -> bool:
        """Whether it has answered over a connection that still stands, or nothing was ever sent to it."""
        with self._monitor:
            return self._patience.is_warm or not self._sender.accepted

    @property
    def is_worth_waiting_for(self) -> bool:
        """Whether waiting may bring anything out: it is up, and not all of its connections are taken by requests that
        may never be answered."""
        with self._monitor:
            is_stuck = self._patience.is_unproven and self._lanes.are_taken
            return self._sender.availability.is_up and not is_stuck

    def takes_the_wire_for_it(self, reply_wait_s: float) -> bool:
        """Whether what is on the wire counts as sent: it has answered over a connection that stands, or a wait of
        `reply_wait_s` for its reply would be in vain."""
        with self._monitor:
            is_known = self._patience.is_warm or not self._patience.answers_within(reply_wait_s)
            return is_known or not self._sender.accepted

    @property
    def held(self) -> int:
        """Records between the worker and an outcome, counted where they lie (the ledger counts the same by booking)."""
        with self._monitor:
            return self._sender.held

    # -- the worker's side

    def offer(self, records: Sequence[Record], has_promised: bool = False) -> None:
        """Take records in and count them. Never waits for the destination. What finds no room is lost by name, unless
        `has_promised`: it said that it had room for them."""
        encode, resource = self._destination.encode_record, self._resource
        entries = []
        for record in records:
            try:
                data = encode(record, resource)
            except Exception as error:  # noqa: BLE001 - a fault in one destination's code may cost its record, nothing else
                self._row.receive()
                self._row.drop(1, ledger.INTERNAL_ERROR)
                reason = describe(error)
                self._diagnostics("error", "record could not be encoded", destination=self.name, reason=reason)
            else:
                entries.append(Entry(data, record.seq, record.time))
        arrived = rfc3339_ms(self._clock.wall_s())
        with self._monitor:
            wake, notices = self._sender.offered(entries, self._clock.monotonic_s(), arrived, has_promised)
            if wake:
                self._monitor.notify_all()
        self._say(notices)

    def make_room(self, n_bytes: int, promised_bytes: int = 0) -> bool:
        """Whether there is room in memory for records of `n_bytes` in all beside what was promised some already, after
        what can be put on disk was put there. Once it is closed that does not matter any more."""
        with self._monitor:
            has_room = self._sender.closed or self._sender.make_room(n_bytes, promised_bytes)
            if not has_room:
                self._monitor.notify_all()
            return has_room

    # -- the lifecycle's side

    def request_flush(self) -> None:
        """Everything offered so far leaves now, full batch or not. Does not wait."""
        with self._monitor:
            self._sender.flush()
            self._lanes.ask_again()
            self._monitor.notify_all()

    def hurry_from(self, moment_s: float | None) -> None:
        """From this moment (monotonic) on records leave as they come."""
        with self._monitor:
            self._sender.hurry_from(moment_s)
            self._monitor.notify_all()

    def invoked(self) -> None:
        """An invocation begins: what is down may be tried sooner than it would be."""
        with self._monitor:
            self._sender.availability.invoked()
            self._monitor.notify_all()

    def thawed(self) -> None:
        """The sandbox stood still for long: connections that idled are not trusted any more."""
        with self._monitor:
            self._patience.thawed()
            self._lanes.thawed()

    def wait_written(self, until_s: float, full: bool = False) -> bool:
        """True as soon as everything offered before this call has its outcome or is on the wire. Otherwise as
        `wait_drained`; where the wire is taken further connections are used."""
        return wait_for_all([self.wait(WIRE, until_s, full)])

    def wait_answered(self, until_s: float) -> bool:
        """True as soon as everything offered before this call has its outcome. That it takes longer is no failure."""
        return wait_for_all([self.wait(OUTCOMES, until_s, full=False)])

    def wait_drained(self, deadline_s: float, full: bool = True) -> bool:
        """True as soon as everything offered before this call has its outcome, False when that did not happen.

        Does not wait at all for a destination that is down already, and no longer for one that goes down
        meanwhile with no attempt due before the end. `deadline_s` is monotonic. Running into it counts as the
        destination's failure, unless `full` is False: then the caller had less time to give than the
        destination may take, and only all such waits together do, when they are as long as that.
        """
        return wait_for_all([self.wait(OUTCOMES, deadline_s, full)])

    def wait(self, goal: Goal, until_s: float, full: bool, backs_up: bool = False) -> Wait:
        """A wait for this destination, to be waited for together with those for others; see `wait_for_all`."""
        return Wait(self._waits, goal, until_s, full, backs_up)

    def answers_within(self, wait_s: float) -> bool:
        """Whether waiting so long for a reply is worth it, as far as former replies tell."""
        with self._monitor:
            return self._patience.answers_within(wait_s)

    def _is_catching_up(self) -> bool:
        return self._restores or self._sender.has_backlog

    def begin_close(self, deadline_s: float, keep: bool = False) -> None:
        """Last flush; the thread tries until `deadline_s` (monotonic) and ends. Does not wait. With `keep` there will
        be another process of this environment: what is held at the end goes to the spool."""
        with self._monitor:
            self._attempts.deadline_s = deadline_s
            self._sender.close(keep, deadline_s)
            self._monitor.notify_all()

    def wait_left(self, until_s: float) -> bool:
        """Whether its threads have left, by then at the latest."""
        with self._monitor:
            return self._lanes.wait_left(until_s)

    def finish_close(self, deadline_s: float) -> None:
        """Wait for the thread until `deadline_s`; what is held then is dropped and counted, or kept on disk; or it
        remains, for the dead letters."""
        with self._monitor:
            self._lanes.wait_left(deadline_s)
            notices = self._sender.abandon()
            self._monitor.notify_all()
        self._say(notices)

    @property
    def remains(self) -> Remains:
        """What is held after the end."""
        from tailrace.pipeline.sending.remains import Remains

        return Remains(self._monitor, self._sender)

    def close(self, deadline_s: float) -> None:
        """Final flush. After it nothing is held: delivered, or dropped with the reason `shutdown`."""
        self.begin_close(deadline_s)
        self.finish_close(deadline_s)

    # -- what a former process of this environment left

    def inherit(self, carried: CarriedRow) -> None:
        """The row was carried over. To be called before `start`."""
        self._carried = carried
        self._sender.unseen = carried.held
        self._restores = self._shelf is not None

    def look_for_more(self) -> None:
        """There are files in the spool. To be called before `start`."""
        self._restores = self._shelf is not None

    def _restore(self) -> None:
        """Take over what lies in the spool, and count what is missing there."""
        if self._shelf is None or not self._restores:
            return
        found = self._shelf.restore()
        with self._monitor:
            notices = self._sender.take_over(found, self._carried)
            self._restores = False
            self._monitor.notify_all()
        if self._note is not None:
            self._note()
        self._say(notices)

    # -- the sender threads

    def start(self, spawn: Spawn) -> None:
        """Start the sender thread; `spawn` starts one that runs what it is given, now and when a second is needed."""
        if not self._lanes.start(spawn, self.run):
            message = "no thread is to be had for the destination now; its records are kept, the next flush asks again"
            self._diagnostics("error", message, destination=self.name)

    def run(self) -> None:
        """Send until closed."""
        self._lanes.enter()
        self._restore()
        self._lanes.run()

    def _came_to(self, notices: list[Notice]) -> None:
        """An attempt has its outcome."""
        if self._note is not None:
            self._note()
        self._say(notices)

    def _say(self, notices: list[Notice]) -> None:
        """Outside the lock: whoever writes the line may take its time."""
        for notice in notices:
            self._diagnostics(notice.level, notice.message, **notice.fields)
