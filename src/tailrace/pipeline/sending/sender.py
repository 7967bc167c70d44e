"""What one destination's sender does next. Pure: facts and `now` in, the next step and notices out.

Batches leave in order, and the first of them is sent as it is until it has an outcome: the same bytes under
the same identity, so that a destination that knows the identity keeps one copy.
"""

from __future__ import annotations

from tailrace.pipeline import ledger, messages
from tailrace.pipeline.sending import words
from tailrace.pipeline.sending.availability import Availability, Notice
from tailrace.pipeline.sending.batcher import SEPARATOR_BYTES, Entry, pack
from tailrace.pipeline.sending.send_queue import SendQueue
from tailrace.pipeline.spooling.shelf import Shelved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.pipeline.dead_letters.writer import Bury
    from tailrace.pipeline.interfaces import Limits
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.messages import Outcome
    from tailrace.pipeline.sealed import Sealed
    from tailrace.pipeline.sending.settings import SenderSettings
    from tailrace.pipeline.spooling.carried_row import CarriedRow
    from tailrace.pipeline.spooling.shelf import Shelf

    # A record cut to a size and marked as cut, or None where that cannot be done.
    Truncate = Callable[[bytes, int], bytes | None]

# Refused requests in a row after which the rest of a batch is not halved any more: the fault is not in one record.
_MAX_TRIALS = 16
# A record that is refused for its size even alone is halved down to this, and then given up.
_LEAST_RECORD_BYTES = 1024


class Step:
    """What to do: send `sealed`; or else wait until `until_s` (None: until woken); or else `finished`, leave."""

    __slots__ = ("finished", "sealed", "until_s")

    def __init__(self, sealed: Sealed | None = None, until_s: float | None = None, finished: bool = False) -> None:
        self.sealed = sealed
        self.until_s = until_s
        self.finished = finished


class Sender(SendQueue):
    """The state between the worker who offers records and the network. Not thread-safe: the shell locks."""

    __slots__ = (
        "_closing",
        "_dropped_at_start",
        "_idempotent",
        "_is_hasty",
        "_isolates",
        "_keeps",
        "_last_failure",
        "_limits",
        "_repeated_free",
        "_row",
        "_said",
        "_settings",
        "_truncate",
        "availability",
    )

    def __init__(
        self,
        row: LedgerRow,
        limits: Limits,
        idempotent: bool,
        settings: SenderSettings,
        truncate: Truncate | None = None,
        shelf: Shelf | None = None,
        bury: Bury | None = None,
    ) -> None:
        """`bury` takes what cannot be delivered, and books it; without it the row counts that as lost."""
        super().__init__(limits, settings.queue_max_bytes, settings.batch_max_age_s, shelf, bury)
        self._row = row
        self._truncate = truncate
        self._last_failure = ""  # what stood in the way, since something was answered
        self._is_hasty = False
        self._repeated_free = False
        self._limits = limits
        self._idempotent = idempotent
        self._settings = settings
        self._closing = False
        self._keeps = False
        self._said: set[str] = set()
        self._dropped_at_start = 0
        self._isolates = True
        self.availability = Availability(row.name, settings.breaker())

    # -- facts from the worker and the lifecycle

    def offered(
        self, entries: Sequence[Entry], now_s: float, arrived: str, has_promised: bool = False
    ) -> tuple[bool, list[Notice]]:
        """Records came in; they are counted here. True when the sender's thread has something new to decide. With
        `has_promised` there was room when they were acknowledged: the bound gives way, they do not."""
        self._row.receive(len(entries))
        if self.closed:
            self._lose(entries, arrived, ledger.SHUTDOWN)
            return False, []
        rested = not self._ready and not self._batcher
        sealed = len(self._ready)
        largest_bytes = self._limits.max_bytes - SEPARATOR_BYTES
        add = self._batcher.add
        too_large: list[Entry] = []
        too_many: list[Entry] = []
        cut = 0
        for whole in entries:
            entry = whole if len(whole.data) <= largest_bytes else self._fitting(whole, largest_bytes)
            size = len(entry.data)
            cut += entry is not whole
            if size > largest_bytes:
                too_large.append(entry)
            elif self.held_bytes + size > self._max_bytes and not self._make_room(size) and not has_promised:
                too_many.append(entry)
            else:
                self.held_bytes += size
                if full := add(entry, now_s, arrived):
                    self._admit(full)
        accepted = len(entries) - len(too_large) - len(too_many)
        self.accepted += accepted
        notices = self._refused(too_large, too_many, arrived) + self._cut(cut)
        return len(self._ready) > sealed or (rested and accepted > 0), notices

    def _refused(self, too_large: list[Entry], too_many: list[Entry], arrived: str) -> list[Notice]:
        notices: list[Notice] = []
        if too_large:
            if self._bury is None:
                self._row.reject(len(too_large), ledger.RECORD_TOO_LARGE)
            else:
                self._bury(pack(too_large, self._limits, arrived), ledger.RECORD_TOO_LARGE, "")
            fields: dict[str, object] = {"recordBytes": len(too_large[0].data), "maxBytes": self._limits.max_bytes}
            notices += self._once(ledger.RECORD_TOO_LARGE, "warn", "record is larger than a request may be", fields)
        if too_many:
            reason = ledger.QUEUE_FULL if self._shelf is None else self._shelf.refusal
            self._lose(too_many, arrived, reason)
            fields = {"queueMaxBytes": self._max_bytes, "reason": reason}
            notices += self._once(reason, "warn", "queue is full: the newest records are dropped", fields)
        return notices

    def _fitting(self, entry: Entry, max_bytes: int) -> Entry:
        """The record cut so that it fits; as it was where that cannot be done."""
        data = self._truncate(entry.data, max_bytes) if self._truncate is not None else None
        return entry if data is None else Entry(data, entry.seq, entry.time)

    def _cut(self, n: int) -> list[Notice]:
        if not n:
            return []
        self._row.truncate(n)
        fields: dict[str, object] = {"records": n, "maxBytes": self._limits.max_bytes}
        return self._once("truncated", "warn", "records are larger than a request may be and were cut", fields)

    # -- how far it is

    @property
    def wants_express(self) -> bool:
        """Whether somebody waits for the wire, and it is taken by a request that waits for its reply."""
        return self._is_hasty and self._on_wire is not None and self._next_for_express() is not None

    def make_haste(self, is_hasty: bool) -> None:
        """Somebody begins (or ends) to wait until everything is on the wire."""
        self._is_hasty = is_hasty

    def take_over(self, found: Sequence[Shelved], carried: CarriedRow | None) -> list[Notice]:
        """What lies on the shelf comes first; what a former process held and is not there is counted as lost. The row
        has its figures already."""
        n_found = sum(map(len, found))
        held, from_spool, from_memory = 0, 0, 0
        if carried is not None:
            held, (from_spool, from_memory) = carried.held, carried.missing(n_found)
        self._row.take_over(max(0, n_found - held))
        self._row.drop(from_spool, ledger.SPOOL_LOST)
        self._row.drop(from_memory, ledger.PROCESS_KILLED)
        self.restored(found)
        if not from_spool and not from_memory:
            return []
        fields: dict[str, object] = {"killed": from_memory, "lostInSpool": from_spool, "takenOver": n_found}
        message = "a former process of this environment ended before its records had an outcome"
        return [Notice("error", message, {"destination": self._row.name, **fields})]

    def wait_expired(self, now_s: float) -> list[Notice]:
        """Somebody waited as long as anybody may, in vain."""
        self._note_drops()
        notice = self.availability.wait_expired(now_s)
        return [notice] if notice else []

    def close(self, keep: bool = False) -> None:
        """Last flush. Pauses are forgotten: the thread tries until nothing is left, or the shell gives up. With `keep`
        what is held then is put on the shelf, for there will be another process of this environment."""
        self._keeps = keep and self._shelf is not None
        self.flush()
        self._closing = True
        self.availability.attempt_now()

    def abandon(self) -> list[Notice]:
        """The time is up: what is held is dropped or kept on the shelf, what is in flight no longer counts."""
        if self.closed:
            return []
        self.closed = True
        batches, unread = self._empty(self._keeps, 0 if self._bury is None else self._max_bytes)
        n_records = sum(map(len, batches)) + unread
        if not n_records:
            return []
        fields: dict[str, object] = {"destination": self._row.name, "reason": ledger.SHUTDOWN}
        if self._bury is None:
            self._row.drop(n_records, ledger.SHUTDOWN)
            message = "records could not be delivered before the end and are lost"
            return [Notice("error", message, {**fields, "droppedRecords": n_records})]
        self._bury(batches, ledger.SHUTDOWN, self._last_failure)
        if unread:
            self._row.drop(unread, ledger.SHUTDOWN_UNREAD)
        message = "records could not be delivered before the end and go to the dead letter destination"
        return [Notice("error", message, {**fields, "records": n_records - unread, "droppedRecords": unread})]

    # -- what to do

    def next_step(self, now_s: float) -> Step:
        self._on_wire = None
        sealed = self._first_waiting(now_s)
        if self.closed or (self._closing and not self._ready):
            return Step(finished=True)
        if sealed is None:
            return Step(until_s=self._batcher.expires_s)
        if now_s < self.availability.next_attempt_s:
            return Step(until_s=self.availability.next_attempt_s)
        self._on_wire = sealed
        return Step(sealed=sealed)

    def next_express(self) -> Step:
        """The same for further threads, each with a connection of its own. They have work only while somebody waits for
        the wire and the first one is taken; they never probe."""
        if self.closed or (self._closing and not self._ready):
            return Step(finished=True)
        sealed = self._next_for_express() if self._is_hasty and self._on_wire is not None else None
        if sealed is not None:
            sealed.is_express = True
        return Step(sealed=sealed)

    def _next_for_express(self) -> Sealed | None:
        if not self.availability.is_up or self.availability.failures:
            return None
        return self._first_waiting()

    # -- facts from the network, about a batch that was handed out; by default about the first one

    def written(self, sealed: Sealed) -> None:
        """All of it is on the wire, and the reply is still to come."""
        sealed.is_written = True
        self._doubt(sealed)

    def replied(
        self, outcome: Outcome, now_s: float, draw: float, sealed: Sealed | None = None, wall_s: float | None = None
    ) -> list[Notice]:
        """The destination answered. `wall_s` is the moment by which ages are measured, if they are."""
        one = self._take_back(sealed)
        if one is None:
            return []
        self._count_resent(one)
        one.unconfirmed = False
        self._repeated_free = False
        reason = outcome.reason or "rejected"
        if outcome.kind == messages.DELIVERED:
            return self._delivered(one, now_s, wall_s)
        if outcome.kind == messages.PARTIAL:
            return self._partial(one, outcome, now_s, draw, wall_s)
        if outcome.kind == messages.SPLIT:
            return self._split(one, now_s)
        if outcome.kind == messages.POISONED:
            return self._isolate(one, now_s, reason)
        if outcome.kind == messages.REJECTED:
            return self._rejected(one, now_s, reason)
        if outcome.kind == messages.AUTHENTICATION:
            return self._stand_back(now_s, draw, words.NOT_ALLOWED, outcome.reason)
        return self._postpone(now_s, draw, words.NOT_TAKEN, outcome.reason, outcome.retry_after_s)

    def not_connected(self, reason: str, now_s: float, draw: float, sealed: Sealed | None = None) -> list[Notice]:
        """Nothing was sent."""
        return [] if self._take_back(sealed) is None else self._postpone(now_s, draw, words.KEPT, reason)

    def no_reply(
        self, reason: str, now_s: float, draw: float, sealed: Sealed | None = None, is_stale: bool = False
    ) -> list[Notice]:
        """Sent, wholly or in part; what became of it is unknown. `is_stale`: on a kept connection that had died, which
        is no sign of a failure: the first time the batch goes out again at once."""
        one = self._take_back(sealed)
        if one is None:
            return []
        self._count_resent(one)
        one.unconfirmed = True
        self._doubt(one)
        if is_stale and not self._repeated_free:
            self._repeated_free = True
            return []
        return self._postpone(now_s, draw, words.KEPT, reason)

    def not_built(self, reason: str, now_s: float, draw: float = 0.0, sealed: Sealed | None = None) -> list[Notice]:
        """There is no request to send: a setting or a credential is missing."""
        return [] if self._take_back(sealed) is None else self._stand_back(now_s, draw, words.NOT_BUILT, reason)

    def broke(self, reason: str, now_s: float, draw: float = 0.0, sealed: Sealed | None = None) -> list[Notice]:
        """The attempt ended in a fault of ours, before or after the request left."""
        one = self._take_back(sealed)
        if one is None:
            return []
        one.unconfirmed = True
        return self._stand_back(now_s, draw, words.BROKEN, reason)

    def _take_back(self, sealed: Sealed | None) -> Sealed | None:
        """The batch that a fact is about, no longer on its way. None where it has its outcome already."""
        if self.closed or not self._ready:
            return None
        one = self._ready[0] if sealed is None else sealed
        if isinstance(one, Shelved) or not any(other is one for other in self._ready):
            return None
        if one is self._on_wire:
            self._on_wire = None
        one.is_written = one.is_express = False
        return one

    # -- how

    def _delivered(self, sealed: Sealed, now_s: float, wall_s: float | None) -> list[Notice]:
        self._row.deliver(len(sealed), sealed.ages(wall_s) if wall_s is not None else ())
        sealed.trials.refused = 0
        self._replace(sealed, ())
        self._said.clear()
        self._isolates = True
        return self._answered(now_s)

    def _partial(
        self, sealed: Sealed, outcome: Outcome, now_s: float, draw: float, wall_s: float | None
    ) -> list[Notice]:
        """Each record has its own fate. Places that the batch does not have are nobody's."""
        places = range(len(sealed))
        again = sorted({place for place in outcome.again if place in places})
        refused = {place for place in outcome.refused if place in places}.difference(again)
        taken = [place for place in places if place not in refused and place not in again]
        if taken:
            self._row.deliver(len(taken), sealed.picked(taken).ages(wall_s) if wall_s is not None else ())
            self._said.clear()
        notices: list[Notice] = []
        reason = outcome.reason or "rejected"
        if refused:
            self._refuse(sealed.picked(sorted(refused)), reason)
            notices += self._say_rejected(reason, len(refused))
        self._replace(sealed, [sealed.picked(again)] if again else ())
        if again and not taken and not refused:
            return notices + self._postpone(now_s, draw, words.NOT_TAKEN, reason, outcome.retry_after_s)
        notices += self._answered(now_s)
        if again:
            self.availability.pause(now_s + self._delay_s(draw, outcome.retry_after_s))
        return notices

    def _split(self, sealed: Sealed, now_s: float) -> list[Notice]:
        if len(sealed) > 1:
            self._replace(sealed, sealed.halves())
            return self._answered(now_s)
        size = sealed.batch.n_bytes // 2
        shorter = None
        if self._truncate is not None and size >= _LEAST_RECORD_BYTES:
            shorter = self._truncate(sealed.batch.parts[0], size)
        if shorter is None or len(shorter) >= sealed.batch.n_bytes:
            return self._rejected(sealed, now_s, ledger.TOO_LARGE)
        notices = [] if sealed.is_cut else self._cut(1)
        self._replace(sealed, [sealed.replaced(shorter)])
        return notices + self._answered(now_s)

    def _isolate(self, sealed: Sealed, now_s: float, reason: str) -> list[Notice]:
        """Some record of the batch is refused, and takes the others with it: halve the batch until it stands alone.

        Where nothing of a batch is taken for long the fault is a general one: the rest is rejected as it is, and so
        are later batches until something is delivered, or every batch would cost that many requests.
        """
        sealed.trials.refused += 1
        if sealed.trials.refused >= _MAX_TRIALS:
            self._isolates = False
        if len(sealed) > 1 and self._isolates:
            return self._split(sealed, now_s)
        return self._rejected(sealed, now_s, reason)

    def _rejected(self, sealed: Sealed, now_s: float, reason: str) -> list[Notice]:
        self._refuse(sealed, reason)
        self._replace(sealed, ())
        return self._say_rejected(reason, len(sealed)) + self._answered(now_s)

    def _refuse(self, sealed: Sealed, reason: str) -> None:
        """It will never be taken as it is."""
        if self._bury is None:
            self._row.reject(len(sealed), reason)
        else:
            self._bury([sealed], ledger.TOO_LARGE if reason == ledger.TOO_LARGE else ledger.REJECTED, reason)

    def _lose(self, entries: Sequence[Entry], arrived: str, reason: str) -> None:
        """There is no room for them, or no time."""
        if self._bury is None:
            self._row.drop(len(entries), reason)
        else:
            self._bury(pack(entries, self._limits, arrived), reason, self._last_failure)

    def _say_rejected(self, reason: str, n: int) -> list[Notice]:
        fields: dict[str, object] = {"reason": reason, "records": n}
        return self._once("rejected " + reason, "error", "destination rejects records", fields)

    def _answered(self, now_s: float) -> list[Notice]:
        dropped = sum(self._row.snapshot().dropped.values())
        self._last_failure = ""
        notice = self.availability.answered(now_s, self.held, dropped - self._dropped_at_start)
        return [notice] if notice else []

    def _postpone(
        self, now_s: float, draw: float, message: str, reason: str, retry_after_s: float | None = None
    ) -> list[Notice]:
        return self._failed(now_s, message, reason, self._delay_s(draw, retry_after_s), draw)

    def _delay_s(self, draw: float, retry_after_s: float | None) -> float:
        backoff = self._settings.closing_backoff if self._closing else self._settings.backoff
        return backoff.delay_s(self.availability.failures + 1, draw, retry_after_s)

    def _stand_back(self, now_s: float, draw: float, message: str, reason: str) -> list[Notice]:
        """More of the same will not help soon; while closing it will not help at all."""
        notices = self._failed(now_s, message, reason, self._settings.slow_retry_s, draw)
        notices += self._once(message, "error", message, {"reason": reason}) if not notices else []
        self._said.add(message)
        return notices + self.abandon() if self._closing else notices

    def _failed(self, now_s: float, message: str, reason: str, delay_s: float, draw: float) -> list[Notice]:
        self._note_drops()
        self._last_failure = reason
        notice = self.availability.attempt_failed(now_s, message, reason, delay_s, draw)
        if self._closing:
            self.availability.pause(now_s + delay_s)
        return [notice] if notice else []

    def _note_drops(self) -> None:
        """Remember where a failure window began, so that its end can say what was lost in between."""
        if self.availability.is_up:
            self._dropped_at_start = sum(self._row.snapshot().dropped.values())

    def _count_resent(self, sealed: Sealed) -> None:
        if sealed.unconfirmed and not self._idempotent:
            self._row.resend_unconfirmed(len(sealed))

    def _once(self, key: str, level: str, message: str, fields: dict[str, object]) -> list[Notice]:
        """Say it, unless it was said since the last delivery."""
        if key in self._said:
            return []
        self._said.add(key)
        return [Notice(level, message, {"destination": self._row.name, **fields})]
