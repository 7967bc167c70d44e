"""One destination's sender: the thin shell around `Sender`, with its thread, its lock and the network."""

from __future__ import annotations

from tailrace.clock import rfc3339_ms
from tailrace.errors import ConfigError, ConnectError, NoReplyError
from tailrace.pipeline import ledger
from tailrace.pipeline.batcher import Entry
from tailrace.pipeline.sender import Sender, SenderSettings
from tailrace.pipeline.sync import Monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.clock import Clock
    from tailrace.model.record import Record
    from tailrace.model.resource import Resource
    from tailrace.pipeline.availability import Notice
    from tailrace.pipeline.batcher import Sealed
    from tailrace.pipeline.interfaces import Destination, Diagnostics, Random, Transport
    from tailrace.pipeline.ledger import LedgerRow

_MIN_TIMEOUT_S = 0.001


class Exporter:
    """Takes records from the worker, brings them to one destination, books every outcome in `ledger_row`.

    `run` is the sender thread's whole life; all other methods may be called from any thread and none but
    `wait_drained` and `finish_close` wait. `transport` is used and closed by the sender thread alone.
    """

    __slots__ = (
        "_clock",
        "_close_deadline_s",
        "_destination",
        "_diagnostics",
        "_finished",
        "_monitor",
        "_random",
        "_resource",
        "_row",
        "_sender",
        "_settings",
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
    ) -> None:
        self._destination = destination
        self._transport = transport
        self._row = ledger_row
        self._resource = resource
        self._clock = clock
        self._random = random
        self._diagnostics = diagnostics
        self._settings = settings or SenderSettings()
        self._sender = Sender(ledger_row, destination.limits, destination.idempotent, self._settings)
        self._monitor = Monitor()
        self._close_deadline_s: float | None = None
        self._finished = False

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
    def held(self) -> int:
        """Records between the worker and an outcome, counted where they lie (the ledger counts the same by booking)."""
        with self._monitor:
            return self._sender.held

    # -- the worker's side

    def offer(self, records: Sequence[Record]) -> None:
        """Take records in and count them. Never waits for the destination."""
        entries = []
        for record in records:
            try:
                data = self._destination.encode_record(record, self._resource)
            except Exception as error:  # noqa: BLE001 - a fault in one destination's code may cost its record, nothing else
                self._row.receive()
                self._row.drop(1, ledger.INTERNAL_ERROR)
                reason = _describe(error)
                self._diagnostics("error", "record could not be encoded", destination=self.name, reason=reason)
            else:
                entries.append(Entry(data, record.seq, record.time))
        arrived = rfc3339_ms(self._clock.wall_s())
        with self._monitor:
            wake, notices = self._sender.offered(entries, self._clock.monotonic_s(), arrived)
            if wake:
                self._monitor.notify_all()
        self._say(notices)

    def is_full(self, n_bytes: int) -> bool:
        """Whether it would have to drop records of `n_bytes` in all, though it takes records at present."""
        with self._monitor:
            return self._is_full(n_bytes)

    def wait_for_room(self, n_bytes: int, wait_s: float) -> None:
        """Return when it is not full any more, or down, or after `wait_s`."""
        with self._monitor:
            deadline_s = self._clock.monotonic_s() + wait_s
            self._monitor.wait_until(lambda: not self._is_full(n_bytes), self._clock, deadline_s)

    def give_up_waiting(self) -> None:
        """Somebody waited for room as long as anybody may: it counts as down until it answers."""
        with self._monitor:
            notices = self._sender.wait_expired(self._clock.monotonic_s())
        self._say(notices)

    @property
    def settled(self) -> int:
        """Records that have their outcome, ever."""
        with self._monitor:
            return self._sender.settled

    def _is_full(self, n_bytes: int) -> bool:
        return self._sender.availability.is_up and not self._sender.closed and not self._sender.has_room(n_bytes)

    # -- the lifecycle's side

    def request_flush(self) -> None:
        """Everything offered so far leaves now, full batch or not. Does not wait."""
        with self._monitor:
            self._sender.flush()
            self._monitor.notify_all()

    def wait_drained(self, deadline_s: float, full: bool = True) -> bool:
        """True as soon as everything offered before this call has its outcome, False when that did not happen.

        Does not wait at all for a destination that is down already, and no longer for one that goes down
        meanwhile with no attempt due before the end. `deadline_s` is monotonic. Running into it counts as the
        destination's failure, unless `full` is False: then the caller had less time to give than the
        destination may take.
        """
        notices: list[Notice] = []
        sender = self._sender
        with self._monitor:
            goal = sender.accepted
            state = sender.availability
            if state.is_up:
                self._monitor.wait_until(
                    lambda: sender.settled >= goal or not (state.is_up or state.next_attempt_s < deadline_s),
                    self._clock,
                    deadline_s,
                )
                if sender.settled < goal and full:
                    notices = sender.wait_expired(self._clock.monotonic_s())
            drained = sender.settled >= goal
        self._say(notices)
        return drained

    def begin_close(self, deadline_s: float) -> None:
        """Last flush; the thread tries until `deadline_s` (monotonic) and ends. Does not wait."""
        with self._monitor:
            self._close_deadline_s = deadline_s
            self._sender.close()
            self._monitor.notify_all()

    def finish_close(self, deadline_s: float) -> None:
        """Wait for the thread until `deadline_s`; what is held then is dropped and counted."""
        with self._monitor:
            self._monitor.wait_until(lambda: self._finished, self._clock, deadline_s)
            notices = self._sender.abandon()
            self._monitor.notify_all()
        self._say(notices)

    def close(self, deadline_s: float) -> None:
        """Final flush. After it nothing is held: delivered, or dropped with the reason `shutdown`."""
        self.begin_close(deadline_s)
        self.finish_close(deadline_s)

    # -- the sender thread

    def run(self) -> None:
        """Send until closed."""
        try:
            while (sealed := self._next_batch()) is not None:
                self._attempt(sealed)
        finally:
            self._transport.close()
            with self._monitor:
                self._finished = True
                self._monitor.notify_all()

    def _next_batch(self) -> Sealed | None:
        """Wait for a batch that is due. None: leave."""
        with self._monitor:
            while True:
                now_s = self._clock.monotonic_s()
                step = self._sender.next_step(now_s)
                if step.sealed is not None or step.finished:
                    return step.sealed
                self._monitor.wait(None if step.until_s is None else step.until_s - now_s)

    def _attempt(self, sealed: Sealed) -> None:
        """One request, from building it to booking what came of it."""
        destination, sender = self._destination, self._sender
        try:
            request = destination.build_request(sealed.batch, self._resource, self._clock.wall_s())
            outcome = destination.classify(self._transport.send(request, self._timeout_s()))
        except ConnectError as error:
            reason = error.reason
            self._book(lambda: sender.not_connected(reason, self._clock.monotonic_s(), self._random()))
        except NoReplyError as error:
            reason = error.reason
            self._book(lambda: sender.no_reply(reason, self._clock.monotonic_s(), self._random()))
        except ConfigError as error:
            reason = str(error)
            self._book(lambda: sender.not_built(reason, self._clock.monotonic_s()))
        except Exception as error:  # noqa: BLE001 - a fault in one destination's code must not end its thread unseen
            reason = _describe(error)
            self._book(lambda: sender.broke(reason, self._clock.monotonic_s()))
        else:
            self._book(lambda: sender.replied(outcome, self._clock.monotonic_s(), self._random()))

    def _book(self, fact: Callable[[], list[Notice]]) -> None:
        with self._monitor:
            notices = fact()
            self._monitor.notify_all()
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
