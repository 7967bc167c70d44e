"""What cannot be delivered goes to a second destination. It is counted as dead-lettered when that one has taken it.

Nothing waits for it but the end of the process: letters lie in bounded memory until a thread of their own, which is
started by the first of them, has written them. A dead letter destination that is dead costs that memory and a few
attempts, and then the records are dropped, with both reasons.
"""

from __future__ import annotations

from tailrace.clock import rfc3339_ms
from tailrace.errors import ConfigError, ConnectError, NoReplyError
from tailrace.model.batch import Batch
from tailrace.model.resource import Resource
from tailrace.pipeline import ledger
from tailrace.pipeline.dead_letters.box import LetterBox
from tailrace.pipeline.dead_letters.envelope import Letter, Tried, envelope_line
from tailrace.pipeline.messages import AUTHENTICATION, DELIVERED, RETRY
from tailrace.pipeline.sending.retry import Backoff
from tailrace.pipeline.sync import Monitor
from tailrace.pipeline.times import timeout_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.pipeline.dead_letters.box import Posting
    from tailrace.pipeline.interfaces import Bury, Destination, Transport
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.sealed import Sealed
    from tailrace.pipeline.sending.remains import Remains
    from tailrace.pipeline.surroundings import Surroundings

# Why letters were not written; these words follow the record's own reason in the ledger.
FULL = "dead_letter_full"
FAILED = "dead_letter_failed"
REFUSED = "dead_letter_refused"
SHUTDOWN = "dead_letter_shutdown"

ATTEMPT_TIMEOUT_S = 10.0
MAX_ATTEMPTS = 8
# Of the time for the last flush, the part that is kept for letters, and the most of it; and the part where the
# destination is down.
_LAST_SHARE = 0.3
_LAST_MAX_S = 0.6
_LAST_SHARE_DOWN = 0.75


class DeadLetters:
    """The second destination with its queue and its thread. Methods may be called from any thread; none but `close`
    waits. `destination` must be one where writing the same batch again leaves one copy."""

    __slots__ = (
        "_backoff",
        "_box",
        "_clock",
        "_close_deadline_s",
        "_closed",
        "_destination",
        "_diagnostics",
        "_is_failing",
        "_is_running",
        "_monitor",
        "_note",
        "_random",
        "_resource",
        "_sources",
        "_spawn",
        "_transport",
    )

    def __init__(
        self,
        destination: Destination,
        transport: Transport,
        surroundings: Surroundings,
        max_bytes: int,
        backoff: Backoff | None = None,
        note: Callable[[], None] | None = None,
    ) -> None:
        """`note` is called when something has got its outcome."""
        self._destination = destination
        self._transport = transport
        self._resource = surroundings.resource
        self._clock = surroundings.clock
        self._random = surroundings.random
        self._diagnostics = surroundings.diagnostics
        self._backoff = backoff or Backoff()
        self._box = LetterBox(max_bytes, destination.limits.max_bytes)
        self._monitor = Monitor()
        self._spawn: Callable[[Callable[[], None]], object] | None = None
        self._note = note
        self._sources: list[Remains] = []
        self._is_running = False
        self._is_failing = False
        self._closed = False
        self._close_deadline_s: float | None = None

    @property
    def name(self) -> str:
        return self._destination.name

    def start(self, spawn: Callable[[Callable[[], None]], object]) -> None:
        """`spawn` starts a thread that runs what it is given; it is asked for one when there is a letter."""
        with self._monitor:
            self._spawn = spawn
            self._start_thread()

    def of(self, row: LedgerRow, destination: str, n_alike: int = 1) -> Bury:
        """What a sender for `destination`, booking in `row`, does with what it cannot deliver. `n_alike` is how many
        destinations have that URL but for secrets."""

        def bury(batches: Sequence[Sealed], reason: str, error: str) -> None:
            written_s = self._clock.wall_s()
            for one in batches:
                tried = Tried(one.trials.attempts, one.trials.first_s, one.trials.last_s)
                environment_id = one.environment or self._resource.environment_id
                self.take(Letter(row, destination, one.batch, environment_id, reason, error, written_s, tried, n_alike))

        return bury

    def take(self, letter: Letter) -> None:
        """A letter to write. Its records are held until it is written; they are dropped where there is no room."""
        with self._monitor:
            is_taken = not self._closed and self._box.put(letter, self._clock.monotonic_s())
            if is_taken:
                self._start_thread()
                self._monitor.notify_all()
        if not is_taken:
            _drop([letter], SHUTDOWN if self._closed else FULL)

    def has_room(self, n_bytes: int) -> bool:
        """Whether letters of `n_bytes` in all would be taken now."""
        with self._monitor:
            return not self._closed and self._box.has_room(n_bytes)

    # -- the end of the process

    def reserve_s(self, left_s: float, is_up: bool = True) -> float:
        """How much of the `left_s` seconds before the end of the process is wanted after the last delivery to a
        destination that is up, or is not."""
        left_s = max(0.0, left_s)
        return min(_LAST_MAX_S, left_s * _LAST_SHARE) if is_up else left_s * _LAST_SHARE_DOWN

    def begin_close(self, deadline_s: float) -> None:
        """From now on nothing is later than `deadline_s` (monotonic)."""
        with self._monitor:
            self._close_deadline_s = deadline_s
            self._box.end()
            self._monitor.notify_all()

    def stream(self, remains: Remains) -> None:
        """Write what a sender leaves behind: no more of it is read at once than is written at once."""
        with self._monitor:
            self._sources.append(remains)
            self._start_thread()
            self._monitor.notify_all()

    def close(self, deadline_s: float) -> None:
        """Write what there is until `deadline_s` (monotonic). After it nothing is held."""
        self.begin_close(deadline_s)
        with self._monitor:
            self._start_thread()
            if self._is_running:
                self._monitor.wait_until(lambda: not self._box and not self._sources, self._clock, deadline_s)
            self._closed = True
            sources, self._sources = self._sources, []
        # What is being handed over at this moment is in the box then, or has been dropped.
        unread = sum(remains.drop(f"{ledger.SHUTDOWN}, {SHUTDOWN}") for remains in sources)
        with self._monitor:
            lost = self._box.empty()
            self._monitor.notify_all()
        _drop(lost, SHUTDOWN)
        if lost or unread:
            self._say_lost(lost, "there was no more time", unread)

    # -- the thread

    def _start_thread(self) -> None:
        if (self._box or self._sources) and not self._is_running and self._spawn is not None:
            try:
                self._spawn(self.run)
            except RuntimeError:
                return  # none is to be had now: the next letter asks again
            self._is_running = True

    def run(self) -> None:
        """Write letters until closed."""
        try:
            while (posting := self._next_posting()) is not None:
                self._attempt(posting)
        finally:
            self._transport.close()

    def _next_posting(self) -> Posting | None:
        while True:
            self._read_remains()
            with self._monitor:
                if self._closed:
                    return None
                now_s = self._clock.monotonic_s()
                posting, until_s = self._box.next_posting(now_s, self._clock.wall_s())
                if posting is not None:
                    return posting
                if not self._sources or not self._box.wants(0):
                    self._monitor.wait(None if until_s is None else until_s - now_s)

    def _read_remains(self) -> None:
        """Take from what senders left as much as the next request may carry. A sender's lock is taken before ours: not
        while we hold it."""
        while (remains := self._first_source()) is not None:
            n_bytes = remains.next_bytes
            with self._monitor:
                if n_bytes is None:
                    self._sources = [other for other in self._sources if other is not remains]
                    self._monitor.notify_all()
                    continue
                if not self._box.wants(n_bytes):
                    return
            remains.bury_next()

    def _first_source(self) -> Remains | None:
        with self._monitor:
            return self._sources[0] if self._sources else None

    def _attempt(self, posting: Posting) -> None:
        kind, reason, retry_after_s = self._send(posting)
        now_s, draw = self._clock.monotonic_s(), self._random()
        with self._monitor:
            if self._box.posting is not posting:
                return  # closed meanwhile: what it held has been booked
            may_pass = kind in (RETRY, AUTHENTICATION) and posting.attempts < MAX_ATTEMPTS
            if may_pass:
                delay_s = self._backoff.delay_s(posting.attempts, draw, retry_after_s)
                self._box.postpone(now_s + (0.05 if self._close_deadline_s is not None else delay_s))
                letters: Sequence[Letter] = ()
            else:
                letters = self._box.done(now_s)
                self._book(letters, kind)
                self._monitor.notify_all()
        if letters and self._note is not None:
            self._note()
        self._say(letters, kind, reason)

    def _book(self, letters: Sequence[Letter], kind: str) -> None:
        if kind == DELIVERED:
            for letter in letters:
                letter.row.dead_letter(len(letter))
        else:
            _drop(letters, FAILED if kind in (RETRY, AUTHENTICATION) else REFUSED)

    def _send(self, posting: Posting) -> tuple[str, str, float | None]:
        """One attempt: what it came to, why, and when to come back."""
        try:
            if posting.lines is None:
                posting.lines = [envelope_line(letter, self._resource) for letter in posting.letters]
            if self._closed:
                return RETRY, "", None  # it was dropped meanwhile: it must not arrive any more
            request = self._destination.build_request(self._batch(posting), self._own(posting), self._clock.wall_s())
            outcome = self._destination.classify(self._transport.send(request, self._timeout_s()))
        except (ConnectError, NoReplyError) as error:
            return RETRY, error.reason, None
        except ConfigError as error:
            return AUTHENTICATION, str(error), None
        except Exception as error:  # noqa: BLE001 - a fault here must not end the thread with records unaccounted for
            return RETRY, f"internal error ({type(error).__name__})", None
        return outcome.kind, outcome.reason, outcome.retry_after_s

    def _batch(self, posting: Posting) -> Batch:
        assert posting.lines is not None
        last = posting.number + len(posting.lines) - 1
        return Batch(posting.lines, posting.number, last, rfc3339_ms(posting.sealed_s))

    def _own(self, posting: Posting) -> Resource:
        """Names of objects must differ from those of delivered batches, in case both lie in one place."""
        resource = self._resource
        environment_id = f"{posting.letters[0].environment_id}-dead-letter"
        return Resource(resource.function_name, environment_id, resource.function_version)

    def _timeout_s(self) -> float:
        with self._monitor:
            deadline_s = self._close_deadline_s
        return timeout_s(ATTEMPT_TIMEOUT_S, deadline_s, self._clock.monotonic_s())

    # -- what the user is told: once when it fails, once when it works again, and what was lost

    def _say(self, letters: Sequence[Letter], kind: str, reason: str) -> None:
        if kind == DELIVERED:
            if self._is_failing:
                self._is_failing = False
                self._diagnostics("info", "dead letter destination answers again", destination=self.name)
        elif letters:
            self._say_lost(letters, reason)
        elif not self._is_failing:
            message = "dead letter destination takes nothing now; undeliverable records are kept for a while"
            self._diagnostics("warn", message, destination=self.name, reason=reason)
        self._is_failing = kind != DELIVERED

    def _say_lost(self, letters: Sequence[Letter], reason: str, unread: int = 0) -> None:
        """`unread` more were never letters."""
        message = "undeliverable records could not be written to the dead letter destination and are lost"
        n_records = sum(map(len, letters)) + unread
        grounds = ", ".join(sorted({letter.error or letter.reason for letter in letters}))[:500] or ledger.SHUTDOWN
        fields: dict[str, object] = {"destination": self.name, "droppedRecords": n_records}
        self._diagnostics("error", message, **fields, reason=reason, undeliverableBecause=grounds)


def _drop(letters: Sequence[Letter], why: str) -> None:
    """Both reasons: why the record was not delivered, and why it is not among the dead letters either."""
    for letter in letters:
        letter.row.drop(len(letter), f"{letter.reason}, {why}")
