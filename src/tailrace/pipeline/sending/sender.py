"""What one destination's sender does next. Pure: facts and `now` in, the next step and notices out.

Batches leave in order, and the first of them is sent as it is until it has an outcome: the same bytes under
the same identity, so that a destination that knows the identity keeps one copy.
"""

from __future__ import annotations

from tailrace.pipeline import ledger, messages
from tailrace.pipeline.sending import notices as words
from tailrace.pipeline.sending.availability import Availability
from tailrace.pipeline.sending.batcher import SEPARATOR_BYTES
from tailrace.pipeline.sending.notices import Notice, Said
from tailrace.pipeline.sending.outcomes import Outcomes
from tailrace.pipeline.sending.send_queue import SendQueue
from tailrace.pipeline.sending.setbacks import Setbacks
from tailrace.pipeline.spooling.shelf import Shelved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.pipeline.interfaces import Bury, Limits
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.messages import Outcome
    from tailrace.pipeline.sealed import Sealed
    from tailrace.pipeline.sending.batcher import Entry
    from tailrace.pipeline.sending.cutting import Cutting, Truncate
    from tailrace.pipeline.sending.refusals import Refusals
    from tailrace.pipeline.sending.settings import SenderSettings
    from tailrace.pipeline.sending.undeliverable import Undeliverable
    from tailrace.pipeline.spooling.carried_row import CarriedRow
    from tailrace.pipeline.spooling.shelf import Shelf


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
        "_close_until_s",
        "_cutting",
        "_idempotent",
        "_is_hasty",
        "_keeps",
        "_largest_bytes",
        "_limits",
        "_outcomes",
        "_row",
        "_said",
        "_setbacks",
        "_truncate",
        "_undeliverable",
        "availability",
        "unseen",
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
        self._is_hasty = False
        self._idempotent = idempotent
        self._keeps = False
        self._close_until_s = float("inf")
        self.unseen = 0  # records that a former process held, before anybody has looked for them
        self.availability = Availability(row.name, settings.breaker())
        self._said = said = Said(row.name)
        self._limits = limits
        self._largest_bytes = limits.max_bytes - SEPARATOR_BYTES
        self._truncate = truncate
        self._undeliverable: Undeliverable | None = None
        self._cutting: Cutting | None = None
        self._setbacks = Setbacks(row, self, self.availability, settings, said)
        self._outcomes = Outcomes(row, self, self._setbacks, said, self._make_refusals)

    # -- what is loaded with the first record that needs it

    def _make_refusals(self) -> Refusals:
        from tailrace.pipeline.sending.refusals import Refusals

        return Refusals(self._row, self, self._setbacks, self._cutter, self._unwanted, self._said)

    @property
    def _cutter(self) -> Cutting:
        if self._cutting is None:
            from tailrace.pipeline.sending.cutting import Cutting

            self._cutting = Cutting(self._row, self._limits, self._truncate)
        return self._cutting

    @property
    def _unwanted(self) -> Undeliverable:
        if self._undeliverable is None:
            from tailrace.pipeline.sending.undeliverable import Undeliverable

            self._undeliverable = Undeliverable(self._row, self._limits, self._bury, self._setbacks, self._said)
        return self._undeliverable

    # -- facts from the worker and the lifecycle

    def offered(
        self, entries: Sequence[Entry], now_s: float, arrived: str, has_promised: bool = False
    ) -> tuple[bool, list[Notice]]:
        """Records came in; they are counted here. True when the sender's thread has something new to decide. With
        `has_promised` there was room when they were acknowledged: the bound gives way, they do not."""
        self._row.receive(len(entries))
        if self.closed:
            self._unwanted.lose(entries, arrived, ledger.SHUTDOWN)
            return False, []
        rested = not self._ready and not self._batcher
        sealed = len(self._ready)
        largest_bytes, add = self._largest_bytes, self._batcher.add
        too_large: list[Entry] = []
        too_many: list[Entry] = []
        cut = 0
        for whole in entries:
            entry = whole if len(whole.data) <= largest_bytes else self._cutter.fitting(whole)
            size = len(entry.data)
            cut += entry is not whole
            if size > largest_bytes:
                too_large.append(entry)
            elif not has_promised and not self._fits(size):
                too_many.append(entry)
            else:
                self.held_bytes += size
                if full := add(entry, now_s, arrived):
                    self._admit(full)
        accepted = len(entries) - len(too_large) - len(too_many)
        self.accepted += accepted
        self._relieve()
        notices = self._cutter.fitted(cut) if cut else []
        if too_large:
            notices += self._unwanted.refuse_too_large(too_large, arrived)
        if too_many:
            reason = ledger.QUEUE_FULL if self._shelf is None else self._shelf.refusal
            notices += self._unwanted.find_no_room(too_many, arrived, reason, self._max_bytes)
        return len(self._ready) > sealed or (rested and accepted > 0), notices

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
        has its figures already. After the end they are the next process's."""
        if self.closed:
            return []
        self.unseen = 0
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

    def wait_expired(self, now_s: float, wall_s: float | None = None) -> list[Notice]:
        """Somebody waited as long as anybody may, in vain."""
        return self._setbacks.wait_expired(now_s, wall_s)

    def note_silence(self) -> None:
        """Somebody waited for a reply as long as anybody may, and waits no more; that is all that is known."""
        self._setbacks.last_failure = self._setbacks.last_failure or words.NO_REPLY_YET

    def close(self, keep: bool = False, until_s: float = float("inf")) -> None:
        """Last flush. Pauses are forgotten, but for those that the destination asked for: the thread tries until
        nothing is left, or nothing more may be tried before `until_s`, or the shell gives up. With `keep` what is held
        then is put on the shelf, for there will be another process of this environment."""
        self._close_until_s = until_s
        self._keeps = keep and self._shelf is not None
        self.flush()
        self._setbacks.is_closing = True
        self.availability.attempt_now()

    def abandon(self) -> list[Notice]:
        """The time is up: what is held is dropped or kept on the shelf, what is in flight no longer counts. Where there
        are dead letters, what is lost that way remains: see `bury_next`."""
        if self.closed:
            return []
        self.closed = True
        self._seal_rest(self._keeps)
        if not self._keeps:
            self._row.drop(self.unseen, ledger.SHUTDOWN)
        return self._outcomes.at_the_end() + self._left_over()

    def _left_over(self) -> list[Notice]:
        n_records = self.held
        if not n_records:
            return []
        fields: dict[str, object] = {"destination": self._row.name, "reason": ledger.SHUTDOWN}
        if self._setbacks.last_failure:
            fields["lastFailure"] = self._setbacks.last_failure
        if self._bury is not None:
            message = "records could not be delivered before the end and go to the dead letter destination"
            return [Notice("error", message, {**fields, "records": n_records})]
        self.drop_remains(ledger.SHUTDOWN)
        message = "records could not be delivered before the end and are lost"
        return [Notice("error", message, {**fields, "droppedRecords": n_records})]

    def bury_next(self) -> None:
        """One batch of what remains goes to the dead letters; it leaves the shelf when they have it."""
        sealed = self._first_of_remains()
        if sealed is not None:
            self._unwanted.leave(sealed)
            self.replace(sealed, ())

    def drop_remains(self, reason: str) -> int:
        """All that remains is lost. How many records that are."""
        n_records = self._forget_rest()
        self._row.drop(n_records, reason)
        return n_records

    # -- what to do

    def next_step(self, now_s: float) -> Step:
        self._on_wire = None
        sealed = self._first_waiting(now_s)
        if self._is_over:
            return Step(finished=True)
        if sealed is None:
            return Step(until_s=self._batcher.expires_s)
        if now_s < self.availability.next_attempt_s:
            return Step(until_s=self.availability.next_attempt_s)
        self._on_wire = sealed
        return Step(sealed=sealed)

    @property
    def _is_over(self) -> bool:
        """Whether there is nothing more to do: nothing is left, or none of it may be tried before the end."""
        if self.closed or not self._setbacks.is_closing:
            return self.closed
        is_idle = self._on_wire is None and not self.n_express
        return not self._ready or (is_idle and self.availability.next_attempt_s >= self._close_until_s)

    def next_express(self) -> Step:
        """The same for further threads, each with a connection of its own. They have work only while somebody waits for
        the wire and the first one is taken; they never probe."""
        if self._is_over:
            return Step(finished=True)
        sealed = self._next_for_express() if self._is_hasty and self._on_wire is not None else None
        if sealed is not None:
            sealed.is_express = True
        return Step(sealed=sealed)

    def _next_for_express(self) -> Sealed | None:
        if not self.availability.is_up or self.availability.failures:
            return None
        return self._first_waiting()

    # -- facts from the network, about a batch that was handed out; by default about the last one, or the first that
    # there is. `wall_s` is the moment by which ages are measured, if they are.

    def written(self, sealed: Sealed) -> None:
        """All of it is on the wire, and the reply is still to come."""
        sealed.is_written = True
        self.doubt(sealed)

    def replied(
        self, outcome: Outcome, now_s: float, draw: float, sealed: Sealed | None = None, wall_s: float | None = None
    ) -> list[Notice]:
        """The destination answered."""
        one = self._take_back(sealed)
        if one is None:
            return []
        self._count_resent(one)
        one.unconfirmed = one.was_repeated = False
        if outcome.kind == messages.AUTHENTICATION:
            return self._stand_back(now_s, draw, words.NOT_ALLOWED, outcome.reason, wall_s)
        return self._outcomes.replied(one, outcome, now_s, draw, wall_s)

    def not_connected(
        self, reason: str, now_s: float, draw: float, sealed: Sealed | None = None, wall_s: float | None = None
    ) -> list[Notice]:
        """Nothing was sent."""
        if self._take_back(sealed) is None:
            return []
        return self._setbacks.postpone(now_s, draw, words.KEPT, reason, wall_s=wall_s)

    def no_reply(
        self,
        reason: str,
        now_s: float,
        draw: float,
        sealed: Sealed | None = None,
        is_stale: bool = False,
        wall_s: float | None = None,
    ) -> list[Notice]:
        """Sent, wholly or in part; what became of it is unknown. `is_stale`: on a kept connection that had died, which
        is no sign of a failure: the first time the batch goes out again at once."""
        one = self._take_back(sealed)
        if one is None:
            return []
        self._count_resent(one)
        one.unconfirmed = True
        self.doubt(one)
        if is_stale and not one.was_repeated:
            one.was_repeated = True
            return []
        return self._setbacks.postpone(now_s, draw, words.KEPT, reason, wall_s=wall_s)

    def not_built(
        self, reason: str, now_s: float, draw: float = 0.0, sealed: Sealed | None = None, wall_s: float | None = None
    ) -> list[Notice]:
        """There is no request to send: a setting or a credential is missing."""
        if self._take_back(sealed) is None:
            return []
        return self._stand_back(now_s, draw, words.NOT_BUILT, reason, wall_s)

    def broke(
        self,
        reason: str,
        now_s: float,
        draw: float = 0.0,
        sealed: Sealed | None = None,
        wall_s: float | None = None,
        was_built: bool = True,
    ) -> list[Notice]:
        """The attempt ended in a fault of ours, before the request was built, or else before or after it left."""
        one = self._take_back(sealed)
        if one is None:
            return []
        if was_built:
            self._count_resent(one)
            one.unconfirmed = True
            self.doubt(one)
        return self._stand_back(now_s, draw, words.BROKEN, reason, wall_s)

    def _take_back(self, sealed: Sealed | None) -> Sealed | None:
        """The batch that a fact is about, no longer on its way. None where it has its outcome already."""
        if self.closed or not self._ready:
            return None
        one = (self._on_wire or self._ready[0]) if sealed is None else sealed
        if isinstance(one, Shelved) or not any(other is one for other in self._ready):
            return None
        if one is self._on_wire:
            self._on_wire = None
        one.is_written = one.is_express = False
        return one

    def _stand_back(self, now_s: float, draw: float, message: str, reason: str, wall_s: float | None) -> list[Notice]:
        """More of the same will not help soon; while closing it will not help at all."""
        notices = self._setbacks.stand_back(now_s, draw, message, reason, wall_s)
        return notices + self.abandon() if self._setbacks.is_closing else notices

    def _count_resent(self, sealed: Sealed) -> None:
        if sealed.unconfirmed and not self._idempotent:
            self._row.resend_unconfirmed(len(sealed))
