"""What becomes of a batch that was not taken as it is: of its halves, of single records. Pure.

Loaded with the first of them: most destinations take most batches.
"""

from __future__ import annotations

from tailrace.pipeline import ledger, messages
from tailrace.pipeline.sending.notices import NOT_TAKEN, Notice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.messages import Outcome
    from tailrace.pipeline.sealed import Sealed, Trials
    from tailrace.pipeline.sending.cutting import Cutting
    from tailrace.pipeline.sending.notices import Said
    from tailrace.pipeline.sending.send_queue import SendQueue
    from tailrace.pipeline.sending.setbacks import Setbacks
    from tailrace.pipeline.sending.undeliverable import Undeliverable

# Requests that a batch gets, none of which is taken, before the fault counts as a general one: halves first, then
# single records from all over the batch.
_HALVES, _SINGLES = 16, 16
# The same where it was a general one the last time.
_HALVES_AGAIN, _SINGLES_AGAIN = 1, 4


class Refusals:
    """Books in `row` and changes `queue`; what is to be said comes back. While `isolates`, a record that takes others
    with it is looked for."""

    __slots__ = (
        "_cutting",
        "_first_said",
        "_queue",
        "_rejected_records",
        "_row",
        "_said",
        "_setbacks",
        "_undeliverable",
        "_unsaid",
        "isolates",
    )

    def __init__(
        self,
        row: LedgerRow,
        queue: SendQueue,
        setbacks: Setbacks,
        cutting: Cutting,
        undeliverable: Undeliverable,
        said: Said,
    ) -> None:
        self._row = row
        self._queue = queue
        self._setbacks = setbacks
        self._cutting = cutting
        self._undeliverable = undeliverable
        self._said = said
        # Of the batch that is being taken apart: by reason, how many records, and what else is to be said.
        self._unsaid: dict[str, tuple[int, Mapping[str, object] | None]] = {}
        self._rejected_records = 0
        self._first_said: object = 0  # what the first line said
        self.isolates = True

    def replied(
        self, sealed: Sealed, outcome: Outcome, now_s: float, draw: float, wall_s: float | None
    ) -> list[Notice]:
        """The batch is to be taken apart, or is refused."""
        reason = outcome.reason or "rejected"
        if outcome.kind == messages.PARTIAL:
            return self._partial(sealed, outcome, now_s, draw, wall_s)
        if outcome.kind == messages.SPLIT:
            return self._split(sealed, now_s)
        if outcome.kind == messages.POISONED:
            return self._isolate(sealed, now_s, reason)
        return self._rejected(sealed, now_s, reason, outcome.details)

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
            self._said.forget()
        notices = self.taken(sealed) if taken else []
        reason = outcome.reason or "rejected"
        if refused:
            self._undeliverable.refuse(sealed.picked(sorted(refused)), reason)
            self._count(reason, len(refused))
            notices += self._said_of(None)
        self._queue.replace(sealed, [sealed.picked(again)] if again else ())
        if again and not taken and not refused:
            pause_s = outcome.retry_after_s
            return notices + self._setbacks.postpone(now_s, draw, NOT_TAKEN, reason, pause_s, wall_s)
        notices += self._setbacks.answered(now_s)
        if again:
            self._setbacks.pause(now_s, draw, outcome.retry_after_s)
        return notices

    def _split(self, sealed: Sealed, now_s: float) -> list[Notice]:
        if len(sealed) > 1:
            self._queue.replace(sealed, sealed.halves())
            return self._setbacks.answered(now_s)
        shorter = self._cutting.halved(sealed, self._undeliverable.buries)
        if shorter is None:
            whole_bytes = sealed.cut.whole_bytes if sealed.cut is not None else sealed.batch.n_bytes
            details = {"recordBytes": whole_bytes, "refusedBytes": sealed.batch.n_bytes}
            return self._rejected(sealed, now_s, ledger.TOO_LARGE, details)
        self._queue.replace(sealed, [shorter])
        return self._setbacks.answered(now_s)

    def taken(self, sealed: Sealed) -> list[Notice]:
        """A batch was delivered. What is to be said of it, and counted where its record was cut for that."""
        return self._said_of(sealed.trials) + (self._cutting.taken(sealed) if sealed.cut is not None else [])

    def _isolate(self, sealed: Sealed, now_s: float, reason: str) -> list[Notice]:
        """Some record of the batch is refused, and takes the others with it: halve the batch until it stands alone.

        Once anything of the batch was taken this goes on to the end, at most two requests for each record: none is
        rejected that was not refused alone. Before that the fault may be a general one. The first half is then no more
        than a beginning: single records from all over the batch are tried. Where none of them is taken, what is left
        of the batch gets one try in the pieces in which it lies, and later batches fewer, until something is delivered;
        or each of them would cost as much.
        """
        trials = sealed.trials
        trials.refused += 1
        n_halves, n_singles = (_HALVES, _SINGLES) if self.isolates else (_HALVES_AGAIN, _SINGLES_AGAIN)
        is_general = not trials.was_taken and trials.refused >= n_halves + n_singles
        if is_general:
            self.isolates = False
        if is_general or len(sealed) == 1:
            notices = self._rejected(sealed, now_s, reason)
        elif trials.was_taken or trials.refused < n_halves:
            return self._split(sealed, now_s)
        else:
            notices = self._setbacks.answered(now_s)
        if n_halves <= trials.refused and not is_general and not trials.was_taken:
            self._queue.try_single(trials)
        return notices

    def _rejected(
        self, sealed: Sealed, now_s: float, reason: str, details: Mapping[str, object] | None = None
    ) -> list[Notice]:
        self._undeliverable.refuse(sealed, reason)
        self._queue.replace(sealed, ())
        self._count(reason, len(sealed), details)
        return self._said_of(sealed.trials) + self._setbacks.answered(now_s)

    def _count(self, reason: str, n: int, details: Mapping[str, object] | None = None) -> None:
        """`n` more records were rejected."""
        self._rejected_records += n
        before, _ = self._unsaid.get(reason, (0, None))
        self._unsaid[reason] = before + n, details

    def _said_of(self, trials: Trials | None) -> list[Notice]:
        """Once a batch, with all that it cost: while parts of it (`trials`) are to come nothing is said."""
        if trials is not None and self._queue.parts_of(trials):
            return []
        unsaid, self._unsaid = self._unsaid, {}
        notices = []
        for reason, (n, details) in unsaid.items():
            fields: dict[str, object] = {"reason": reason, "records": n, **(details or {})}
            notices += self._said.once("rejected " + reason, "error", "destination rejects records", fields)
        self._first_said = self._first_said or (notices[0].fields["records"] if notices else 0)
        return notices

    def at_the_end(self) -> list[Notice]:
        """Lines are few: the last one says how many records it were altogether."""
        if self._rejected_records == self._first_said:
            return []
        fields: dict[str, object] = {"destination": self._row.name, "records": self._rejected_records}
        return [Notice("error", "records that the destination rejected, altogether", fields)]
