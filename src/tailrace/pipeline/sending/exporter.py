"""One destination's sender: the thin shell around `Sender`, with its thread, its lock and the network."""

from __future__ import annotations

from tailrace.clock import rfc3339_ms
from tailrace.errors import ConfigError, ConnectError, NoReplyError
from tailrace.pipeline import ledger
from tailrace.pipeline.sending.batcher import Entry
from tailrace.pipeline.sending.patience import Patience
from tailrace.pipeline.sending.sender import Sender
from tailrace.pipeline.sending.settings import SenderSettings
from tailrace.pipeline.sync import Monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.clock import Clock
    from tailrace.model.record import Record
    from tailrace.model.resource import Resource
    from tailrace.pipeline.interfaces import Bury, Destination, Diagnostics, Random, Transport
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.sealed import Sealed
    from tailrace.pipeline.sending.notices import Notice
    from tailrace.pipeline.sending.remains import Remains
    from tailrace.pipeline.sending.sender import Step
    from tailrace.pipeline.spooling.carried_row import CarriedRow
    from tailrace.pipeline.spooling.shelf import Shelf

_MIN_TIMEOUT_S = 0.001
# How long the wire may be taken by a request that waits for its reply before it is not waited for any more.
PATIENCE_S = 0.02
# How long batches may be written to disk for a flush that ended before they were delivered.
BACK_UP_S = 0.05
# Requests on their way to one destination at once, at most.
MAX_LANES = 4


class Exporter:
    """Takes records from the worker, brings them to one destination, books every outcome in `ledger_row`.

    `run` is the sender thread's whole life; all other methods may be called from any thread and none but
    those called `wait_...` and `finish_close` wait. `transport` is used and closed by the sender thread alone.

    Further threads with transports of their own (made by `express`) join when somebody waits for the wire while it is
    taken by a request whose reply is slow. None is started before that happens.
    """

    __slots__ = (
        "_carried",
        "_clock",
        "_close_deadline_s",
        "_destination",
        "_diagnostics",
        "_express",
        "_is_warm",
        "_lanes",
        "_monitor",
        "_note",
        "_patience",
        "_random",
        "_resource",
        "_restores",
        "_row",
        "_sender",
        "_settings",
        "_shelf",
        "_spawn",
        "_thaws",
        "_transport",
    )

    def __init__(
        self,
        destination: Destination,
        transport: Transport,
        ledger_row: LedgerRow,
        resource: Resource,
        clock: Clock,
        random: Random,
        diagnostics: Diagnostics,
        settings: SenderSettings | None = None,
        express: Callable[[], Transport] | None = None,
        shelf: Shelf | None = None,
        note: Callable[[], None] | None = None,
        bury: Bury | None = None,
    ) -> None:
        self._destination = destination
        self._transport = transport
        self._row = ledger_row
        self._resource = resource
        self._clock = clock
        self._random = random
        self._diagnostics = diagnostics
        self._settings = settings or SenderSettings()
        self._express = express
        self._spawn: Callable[[Callable[[], None]], object] | None = None
        self._shelf = shelf
        self._note = note
        self._carried: CarriedRow | None = None
        self._restores = False
        truncate = destination.truncate_record
        self._sender = Sender(
            ledger_row, destination.limits, destination.idempotent, self._settings, truncate, shelf, bury
        )
        self._monitor = Monitor()
        self._close_deadline_s: float | None = None
        self._lanes: int | None = None  # threads that send; None before the first of them
        self._is_warm = False
        self._patience = Patience(self._settings.wait_cap_s)
        self._thaws = 0

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
            return self._is_warm or not self._sender.accepted

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
                reason = _describe(error)
                self._diagnostics("error", "record could not be encoded", destination=self.name, reason=reason)
            else:
                entries.append(Entry(data, record.seq, record.time))
        arrived = rfc3339_ms(self._clock.wall_s())
        with self._monitor:
            wake, notices = self._sender.offered(entries, self._clock.monotonic_s(), arrived, has_promised)
            if wake:
                self._monitor.notify_all()
        self._say(notices)

    def make_room(self, n_bytes: int) -> bool:
        """Whether there is room in memory for records of `n_bytes` in all, after what can be put on disk was put there.
        Once it is closed that does not matter any more."""
        with self._monitor:
            has_room = self._sender.closed or self._sender.make_room(n_bytes)
            if not has_room:
                self._monitor.notify_all()
            return has_room

    # -- the lifecycle's side

    def request_flush(self) -> None:
        """Everything offered so far leaves now, full batch or not. Does not wait."""
        with self._monitor:
            self._sender.flush()
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
            self._is_warm = False
            self._thaws += 1

    def wait_written(self, until_s: float, full: bool = False, backs_up: bool = False) -> bool:
        """True as soon as everything offered before this call has its outcome or is on the wire.

        Where the wire is taken by a request whose reply does not come soon a further connection is used: a server that
        answers at once need not be able to serve two. Otherwise as `wait_drained`.
        """
        sender = self._sender
        with self._monitor:
            is_written = False
            if self._patience.answers_within(PATIENCE_S):
                soon_s = min(until_s, self._clock.monotonic_s() + PATIENCE_S)
                is_written, _ = self._wait_for(sender.is_written, soon_s, full=False)
            if not is_written:
                sender.make_haste(True)
                self._join_express()
                is_written, notices = self._wait_for(sender.is_written, until_s, full, backs_up)
                sender.make_haste(False)
            else:
                notices = []
        self._say(notices)
        return is_written

    def wait_answered(self, until_s: float) -> bool:
        """True as soon as everything offered before this call has its outcome. That it takes longer is no failure."""
        with self._monitor:
            return self._wait_for(self._sender.is_settled, until_s, full=False)[0]

    def answers_within(self, wait_s: float) -> bool:
        """Whether waiting so long for a reply is worth it, as far as former replies tell."""
        with self._monitor:
            return self._patience.answers_within(wait_s)

    def _join_express(self) -> None:
        """Wake the further threads, and start one more where all of them have something to do. Holds the lock."""
        lanes, sender = self._lanes or MAX_LANES, self._sender
        if sender.wants_express and lanes <= 1 + sender.n_express < MAX_LANES and self._express and self._spawn:
            self._lanes = lanes + 1
            self._spawn(self._run_express)
        self._monitor.notify_all()

    def wait_drained(self, deadline_s: float, full: bool = True, backs_up: bool = False) -> bool:
        """True as soon as everything offered before this call has its outcome, False when that did not happen.

        Does not wait at all for a destination that is down already, and no longer for one that goes down
        meanwhile with no attempt due before the end. `deadline_s` is monotonic. Running into it counts as the
        destination's failure, unless `full` is False: then the caller had less time to give than the
        destination may take, and only all such waits together do, when they are as long as that.

        With `backs_up` what such a wait leaves in memory is written to disk as well: after it the sandbox is frozen.
        """
        with self._monitor:
            is_settled, notices = self._wait_for(self._sender.is_settled, deadline_s, full, backs_up)
        self._say(notices)
        return is_settled

    def _wait_for(
        self, reached: Callable[[int], bool], until_s: float, full: bool, backs_up: bool = False
    ) -> tuple[bool, list[Notice]]:
        """Whether `reached` says so of everything accepted before, and what is to be said. The caller has the lock."""
        sender, state = self._sender, self._sender.availability
        goal = sender.accepted
        notices: list[Notice] = []
        # Catching up with what lies on disk takes its time: nobody waits for that, and it is no failure.
        if state.is_up and not sender.has_backlog and not self._restores:
            began_s = self._clock.monotonic_s()
            given_s, until_s = until_s - began_s, self._patience.until_s(began_s, until_s)
            self._monitor.wait_until(
                lambda: reached(goal) or not (state.is_up or state.next_attempt_s < until_s), self._clock, until_s
            )
            now_s = self._clock.monotonic_s()
            if not reached(goal) and (self._patience.is_used_up(began_s, now_s, given_s) or full):
                notices = sender.wait_expired(now_s, self._clock.wall_s())
            if not reached(goal) and backs_up:
                self._back_up(min(now_s, began_s + given_s) + BACK_UP_S)
        return reached(goal), notices

    def _back_up(self, until_s: float) -> None:
        """What is in memory alone goes to disk as well. The caller has the lock."""
        while self._clock.monotonic_s() < until_s and self._sender.back_up():
            pass

    def begin_close(self, deadline_s: float, keep: bool = False) -> None:
        """Last flush; the thread tries until `deadline_s` (monotonic) and ends. Does not wait. With `keep` there will
        be another process of this environment: what is held at the end goes to the spool."""
        with self._monitor:
            self._close_deadline_s = deadline_s
            self._sender.close(keep)
            self._monitor.notify_all()

    def is_closed(self, wait_until_s: float) -> bool:
        """Whether its threads have left, by then at the latest."""
        with self._monitor:
            self._monitor.wait_until(lambda: self._lanes == 0, self._clock, wait_until_s)
            return self._lanes == 0

    def finish_close(self, deadline_s: float) -> None:
        """Wait for the thread until `deadline_s`; what is held then is dropped and counted, or kept on disk; or it
        remains, for the dead letters."""
        with self._monitor:
            self._monitor.wait_until(lambda: self._lanes == 0, self._clock, deadline_s)
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

    def start(self, spawn: Callable[[Callable[[], None]], object]) -> None:
        """Start the sender thread; `spawn` starts one that runs what it is given, now and when a second is needed."""
        self._spawn = spawn
        spawn(self.run)

    def run(self) -> None:
        """Send until closed."""
        with self._monitor:
            self._lanes = self._lanes or 1
        self._restore()
        self._run_lane(self._transport, self._next_step)

    def _run_express(self) -> None:
        assert self._express is not None
        self._run_lane(self._express(), lambda _: self._sender.next_express())

    def _next_step(self, now_s: float) -> Step:
        step = self._sender.next_step(now_s)
        if self._sender.wants_express:
            self._join_express()
        return step

    def _run_lane(self, transport: Transport, next_step: Callable[[float], Step]) -> None:
        thaws = 0
        try:
            while (sealed := self._next_batch(next_step)) is not None:
                if thaws != self._thaws:
                    thaws = self._thaws
                    transport.close()  # it opens again when it is used
                self._attempt(sealed, transport)
        finally:
            transport.close()
            with self._monitor:
                self._lanes = (self._lanes or 1) - 1
                self._monitor.notify_all()

    def _next_batch(self, next_step: Callable[[float], Step]) -> Sealed | None:
        """Wait for a batch that is due. None: leave."""
        with self._monitor:
            while True:
                now_s = self._clock.monotonic_s()
                step = next_step(now_s)
                if step.sealed is not None or step.finished:
                    return step.sealed
                self._monitor.wait(None if step.until_s is None else step.until_s - now_s)

    def _attempt(self, sealed: Sealed, transport: Transport) -> None:
        """One request, from building it to booking what came of it."""
        destination, sender, clock = self._destination, self._sender, self._clock
        now_s, wall_s = clock.monotonic_s, clock.wall_s
        started_s = now_s()
        sealed.trials.begun(wall_s())
        try:
            request = destination.build_request(sealed.batch, self._sealed_by(sealed), wall_s())
            reply = transport.send(request, self._timeout_s(), lambda: self._written(sealed))
            outcome = destination.classify(reply)
        except ConnectError as error:
            reason = error.reason
            self._book(lambda draw: sender.not_connected(reason, now_s(), draw, sealed, wall_s()))
        except NoReplyError as error:
            reason, is_stale = error.reason, error.stale
            self._book(lambda draw: sender.no_reply(reason, now_s(), draw, sealed, is_stale, wall_s()))
        except ConfigError as error:
            reason = str(error)
            self._book(lambda draw: sender.not_built(reason, now_s(), draw, sealed, wall_s()))
        except Exception as error:  # noqa: BLE001 - a fault in one destination's code must not end its thread unseen
            reason = _describe(error)
            self._book(lambda draw: sender.broke(reason, now_s(), draw, sealed, wall_s()))
        else:
            came_s = now_s()
            self._book(lambda draw: sender.replied(outcome, came_s, draw, sealed, wall_s()), came_s - started_s)

    def _sealed_by(self, sealed: Sealed) -> Resource:
        """A batch of a former process keeps its identity."""
        return self._resource if sealed.environment is None else self._resource.of_environment(sealed.environment)

    def _written(self, sealed: Sealed) -> None:
        with self._monitor:
            self._sender.written(sealed)
            self._monitor.notify_all()

    def _book(self, fact: Callable[[float], list[Notice]], reply_s: float | None = None) -> None:
        """What an attempt came to; `fact` gets a random number, `reply_s` is how long the answer took, if one came."""
        draw = self._random()
        with self._monitor:
            self._is_warm = reply_s is not None
            if reply_s is not None:
                self._patience.answered(self._clock.monotonic_s(), reply_s)
            notices = fact(draw)
            self._monitor.notify_all()
        if self._note is not None:
            self._note()
        self._say(notices)

    def _timeout_s(self) -> float:
        timeout_s = self._settings.attempt_timeout_s
        with self._monitor:
            deadline_s = self._close_deadline_s
        if deadline_s is None:
            return timeout_s
        return max(_MIN_TIMEOUT_S, min(timeout_s, deadline_s - self._clock.monotonic_s()))

    def _say(self, notices: list[Notice]) -> None:
        """Outside the lock: whoever writes the line may take its time."""
        for notice in notices:
            self._diagnostics(notice.level, notice.message, **notice.fields)


def _describe(error: Exception) -> str:
    """An unexpected error by its kind only: its text could hold a secret."""
    return f"internal error ({type(error).__name__})"
