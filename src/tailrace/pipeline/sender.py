"""What one destination's sender does next. Pure: facts and `now` in, the next step and notices out.

Batches leave in order, and the first of them is sent as it is until it has an outcome: the same bytes under
the same identity, so that a destination that knows the identity keeps one copy.
"""

from __future__ import annotations

from tailrace.pipeline import ledger, messages
from tailrace.pipeline.availability import Availability, Notice
from tailrace.pipeline.batcher import SEPARATOR_BYTES, Batcher
from tailrace.pipeline.retry import Backoff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.pipeline.batcher import Entry, Sealed
    from tailrace.pipeline.interfaces import Limits
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.messages import Outcome

_KEPT = "nothing can be delivered to the destination now; its records are kept and sent again"
_NOT_TAKEN = "destination does not take records now; they are kept and sent again"
_NOT_ALLOWED = "destination takes nothing until something is set right; its records are kept, the next try is later"
_NOT_BUILT = "no request can be made for the destination; its records are kept"
_BROKEN = "a fault in the code for the destination stops its records; they are kept"

# A batch is a quarter of what may wait at most: while one is on its way the next ones are being filled.
_BATCHES_IN_QUEUE = 4
# Refused requests in a row after which the rest of a batch is not halved any more: the fault is not in one record.
_MAX_TRIALS = 16


class SenderSettings:
    """Bounds of one sender. Seconds and bytes as the names say.

    `queue_max_bytes` bounds what waits, is on its way and is being batched, together: a destination that is down
    cannot make memory grow. `batch_max_age_s` replaces the destination's own.
    """

    __slots__ = (
        "attempt_timeout_s",
        "backoff",
        "batch_max_age_s",
        "closing_backoff",
        "queue_max_bytes",
        "slow_retry_s",
    )

    def __init__(
        self,
        queue_max_bytes: int = 8_388_608,
        batch_max_age_s: float | None = None,
        attempt_timeout_s: float = 5.0,
        slow_retry_s: float = 30.0,
        backoff: Backoff | None = None,
        closing_backoff: Backoff | None = None,
    ) -> None:
        self.queue_max_bytes = queue_max_bytes
        self.batch_max_age_s = batch_max_age_s
        self.attempt_timeout_s = attempt_timeout_s
        self.slow_retry_s = slow_retry_s  # after refused credentials or a request that cannot be built
        self.backoff = backoff or Backoff()
        self.closing_backoff = closing_backoff or Backoff(base_s=0.05, max_s=0.25, retry_after_max_s=0.5)


class Step:
    """What to do: send `sealed`; or else wait until `until_s` (None: until woken); or else `finished`, leave."""

    __slots__ = ("finished", "sealed", "until_s")

    def __init__(self, sealed: Sealed | None = None, until_s: float | None = None, finished: bool = False) -> None:
        self.sealed = sealed
        self.until_s = until_s
        self.finished = finished


class Sender:
    """The state between the worker who offers records and the network. Not thread-safe: the shell locks."""

    __slots__ = (
        "_batcher",
        "_closing",
        "_dropped_at_start",
        "_idempotent",
        "_isolates",
        "_limits",
        "_max_bytes",
        "_ready",
        "_row",
        "_said",
        "_settings",
        "accepted",
        "availability",
        "closed",
        "held_bytes",
        "settled",
    )

    def __init__(self, row: LedgerRow, limits: Limits, idempotent: bool, settings: SenderSettings) -> None:
        self._row = row
        self._limits = limits
        self._idempotent = idempotent
        self._settings = settings
        self._max_bytes = settings.queue_max_bytes
        self._batcher = Batcher(limits, self._max_bytes // _BATCHES_IN_QUEUE, settings.batch_max_age_s)
        self._ready: list[Sealed] = []
        self._closing = False
        self._said: set[str] = set()
        self._dropped_at_start = 0
        self._isolates = True
        self.held_bytes = 0
        self.availability = Availability(row.name)
        self.accepted = 0  # records that got past the queue's door, ever
        self.settled = 0  # of these, those that have their outcome
        self.closed = False

    @property
    def held(self) -> int:
        """Records in the open batch and in sealed ones."""
        return len(self._batcher) + sum(map(len, self._ready))

    def has_room(self, n_bytes: int) -> bool:
        """Whether records of `n_bytes` in all would get in. A single one of any size does where nothing waits."""
        return not self.held_bytes or self.held_bytes + n_bytes <= self._max_bytes

    # -- facts from the worker and the lifecycle

    def offered(self, entries: Sequence[Entry], now_s: float, arrived: str) -> tuple[bool, list[Notice]]:
        """Records came in; they are counted here. True when the sender's thread has something new to decide."""
        self._row.receive(len(entries))
        if self.closed:
            self._row.drop(len(entries), ledger.SHUTDOWN)
            return False, []
        rested = not self._ready and not self._batcher
        sealed = len(self._ready)
        largest_bytes = self._limits.max_bytes - SEPARATOR_BYTES
        too_large, too_many = [], 0
        for entry in entries:
            size = len(entry.data)
            if size > largest_bytes:
                too_large.append(size)
            elif not self.has_room(size):
                too_many += 1
            else:
                self.held_bytes += size
                self._ready += self._batcher.add(entry, now_s, arrived)
        accepted = len(entries) - len(too_large) - too_many
        self.accepted += accepted
        notices = self._refused(too_large, too_many)
        return len(self._ready) > sealed or (rested and accepted > 0), notices

    def _refused(self, too_large: list[int], too_many: int) -> list[Notice]:
        notices: list[Notice] = []
        if too_large:
            self._row.reject(len(too_large), ledger.RECORD_TOO_LARGE)
            fields: dict[str, object] = {"recordBytes": too_large[0], "maxBytes": self._limits.max_bytes}
            notices += self._once(ledger.RECORD_TOO_LARGE, "warn", "record is larger than a request may be", fields)
        if too_many:
            self._row.drop(too_many, ledger.QUEUE_FULL)
            fields = {"queueMaxBytes": self._max_bytes}
            notices += self._once(ledger.QUEUE_FULL, "warn", "queue is full: the newest records are dropped", fields)
        return notices

    def flush(self) -> None:
        """Whatever was accepted so far leaves as soon as it can."""
        self._ready += self._batcher.seal()

    def wait_expired(self, now_s: float) -> list[Notice]:
        """Somebody waited as long as anybody may, in vain."""
        self._note_drops()
        notice = self.availability.wait_expired(now_s)
        return [notice] if notice else []

    def close(self) -> None:
        """Last flush. Pauses are forgotten: the thread tries until nothing is left, or the shell gives up."""
        self.flush()
        self._closing = True
        self.availability.attempt_now()

    def abandon(self) -> list[Notice]:
        """The time is up: what is held is dropped, what is in flight no longer counts."""
        if self.closed:
            return []
        self.closed = True
        lost = self.held
        self._batcher.seal()
        self._ready = []
        self.held_bytes = 0
        self.settled = self.accepted
        if not lost:
            return []
        self._row.drop(lost, ledger.SHUTDOWN)
        fields: dict[str, object] = {"destination": self._row.name, "droppedRecords": lost, "reason": ledger.SHUTDOWN}
        return [Notice("error", "records could not be delivered before the end and are lost", fields)]

    # -- what to do

    def next_step(self, now_s: float) -> Step:
        self._ready += self._batcher.seal_expired(now_s)
        if self.closed or (self._closing and not self._ready):
            return Step(finished=True)
        if not self._ready:
            return Step(until_s=self._batcher.expires_s)
        if now_s < self.availability.next_attempt_s:
            return Step(until_s=self.availability.next_attempt_s)
        return Step(sealed=self._ready[0])

    # -- facts from the network, each about the first sealed batch

    def replied(self, outcome: Outcome, now_s: float, draw: float) -> list[Notice]:
        """The destination answered."""
        if self.closed:
            return []
        self._count_resent()
        self._ready[0].unconfirmed = False
        if outcome.kind == messages.DELIVERED:
            return self._delivered(now_s)
        if outcome.kind == messages.SPLIT:
            return self._split(now_s)
        if outcome.kind == messages.POISONED:
            return self._isolate(now_s, outcome.reason or "rejected")
        if outcome.kind == messages.REJECTED:
            return self._rejected(now_s, outcome.reason or "rejected")
        if outcome.kind == messages.AUTHENTICATION:
            return self._stand_back(now_s, _NOT_ALLOWED, outcome.reason)
        return self._postpone(now_s, draw, _NOT_TAKEN, outcome.reason, outcome.retry_after_s)

    def not_connected(self, reason: str, now_s: float, draw: float) -> list[Notice]:
        """Nothing was sent."""
        return [] if self.closed else self._postpone(now_s, draw, _KEPT, reason)

    def no_reply(self, reason: str, now_s: float, draw: float) -> list[Notice]:
        """Sent, wholly or in part; what became of it is unknown."""
        if self.closed:
            return []
        self._count_resent()
        self._ready[0].unconfirmed = True
        return self._postpone(now_s, draw, _KEPT, reason)

    def not_built(self, reason: str, now_s: float) -> list[Notice]:
        """There is no request to send: a setting or a credential is missing."""
        return [] if self.closed else self._stand_back(now_s, _NOT_BUILT, reason)

    def broke(self, reason: str, now_s: float) -> list[Notice]:
        """The attempt ended in a fault of ours, before or after the request left."""
        if self.closed:
            return []
        self._ready[0].unconfirmed = True
        return self._stand_back(now_s, _BROKEN, reason)

    # -- how

    def _settle_first(self) -> None:
        sealed = self._ready.pop(0)
        self.held_bytes -= sealed.batch.n_bytes
        self.settled += len(sealed)

    def _delivered(self, now_s: float) -> list[Notice]:
        first = self._ready[0]
        self._row.deliver(len(first))
        first.trials.refused = 0
        self._settle_first()
        self._said.clear()
        self._isolates = True
        return self._answered(now_s)

    def _split(self, now_s: float) -> list[Notice]:
        first = self._ready[0]
        if len(first) == 1:
            return self._rejected(now_s, ledger.TOO_LARGE)
        self._ready[:1] = first.halves()
        return self._answered(now_s)

    def _isolate(self, now_s: float, reason: str) -> list[Notice]:
        """Some record of the batch is refused, and takes the others with it: halve the batch until it stands alone.

        Where nothing of a batch is taken for long the fault is a general one: the rest is rejected as it is, and so
        are later batches until something is delivered, or every batch would cost that many requests.
        """
        first = self._ready[0]
        first.trials.refused += 1
        if first.trials.refused >= _MAX_TRIALS:
            self._isolates = False
        if len(first) > 1 and self._isolates:
            return self._split(now_s)
        return self._rejected(now_s, reason)

    def _rejected(self, now_s: float, reason: str) -> list[Notice]:
        n = len(self._ready[0])
        self._row.reject(n, reason)
        self._settle_first()
        said = self._once(
            "rejected " + reason, "error", "destination rejects records", {"reason": reason, "records": n}
        )
        return said + self._answered(now_s)

    def _answered(self, now_s: float) -> list[Notice]:
        dropped = sum(self._row.snapshot().dropped.values())
        notice = self.availability.answered(now_s, self.held, dropped - self._dropped_at_start)
        return [notice] if notice else []

    def _postpone(
        self, now_s: float, draw: float, message: str, reason: str, retry_after_s: float | None = None
    ) -> list[Notice]:
        backoff = self._settings.closing_backoff if self._closing else self._settings.backoff
        delay_s = backoff.delay_s(self.availability.failures + 1, draw, retry_after_s)
        return self._failed(now_s, message, reason, delay_s)

    def _stand_back(self, now_s: float, message: str, reason: str) -> list[Notice]:
        """More of the same will not help soon; while closing it will not help at all."""
        notices = self._failed(now_s, message, reason, self._settings.slow_retry_s)
        notices += self._once(message, "error", message, {"reason": reason}) if not notices else []
        self._said.add(message)
        return notices + self.abandon() if self._closing else notices

    def _failed(self, now_s: float, message: str, reason: str, delay_s: float) -> list[Notice]:
        self._note_drops()
        notice = self.availability.attempt_failed(now_s, message, reason, delay_s)
        return [notice] if notice else []

    def _note_drops(self) -> None:
        """Remember where a failure window began, so that its end can say what was lost in between."""
        if self.availability.is_up:
            self._dropped_at_start = sum(self._row.snapshot().dropped.values())

    def _count_resent(self) -> None:
        first = self._ready[0]
        if first.unconfirmed and not self._idempotent:
            self._row.resend_unconfirmed(len(first))

    def _once(self, key: str, level: str, message: str, fields: dict[str, object]) -> list[Notice]:
        """Say it, unless it was said since the last delivery."""
        if key in self._said:
            return []
        self._said.add(key)
        return [Notice(level, message, {"destination": self._row.name, **fields})]
