"""What becomes of a batch that was not taken as it is: of its halves, of single records. Pure.

Loaded with the first of them: most destinations take most batches.
"""

from __future__ import annotations

from tailrace.pipeline import ledger, messages
from tailrace.pipeline.sending.notices import NOT_TAKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.messages import Outcome
    from tailrace.pipeline.sealed import Sealed
    from tailrace.pipeline.sending.cutting import Cutting
    from tailrace.pipeline.sending.notices import Notice, Said
    from tailrace.pipeline.sending.send_queue import SendQueue
    from tailrace.pipeline.sending.setbacks import Setbacks
    from tailrace.pipeline.sending.undeliverable import Undeliverable

# Refused requests in a row after which the rest of a batch is not halved any more: the fault is not in one record.
_MAX_TRIALS = 16


class Refusals:
    """Books in `row` and changes `queue`; what is to be said comes back. While `isolates`, a record that takes others
    with it is looked for."""

    __slots__ = ("_cutting", "_queue", "_row", "_said", "_setbacks", "_undeliverable", "isolates")

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
            notices += self._say_rejected(reason, len(refused))
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
        shorter = self._cutting.halved(sealed, self._undeliverable.is_buried)
        if shorter is None:
            whole_bytes = sealed.cut.whole_bytes if sealed.cut is not None else sealed.batch.n_bytes
            details = {"recordBytes": whole_bytes, "refusedBytes": sealed.batch.n_bytes}
            return self._rejected(sealed, now_s, ledger.TOO_LARGE, details)
        self._queue.replace(sealed, [shorter])
        return self._setbacks.answered(now_s)

    def taken(self, sealed: Sealed) -> list[Notice]:
        """A batch was delivered. What is to be said and counted where its record was cut for that."""
        return self._cutting.taken(sealed) if sealed.cut is not None else []

    def _isolate(self, sealed: Sealed, now_s: float, reason: str) -> list[Notice]:
        """Some record of the batch is refused, and takes the others with it: halve the batch until it stands alone.

        Where nothing of a batch is taken for long the fault is a general one: the rest is rejected as it is, and so
        are later batches until something is delivered, or every batch would cost that many requests.
        """
        sealed.trials.refused += 1
        if sealed.trials.refused >= _MAX_TRIALS:
            self.isolates = False
        if len(sealed) > 1 and self.isolates:
            return self._split(sealed, now_s)
        return self._rejected(sealed, now_s, reason)

    def _rejected(
        self, sealed: Sealed, now_s: float, reason: str, details: Mapping[str, object] | None = None
    ) -> list[Notice]:
        self._undeliverable.refuse(sealed, reason)
        self._queue.replace(sealed, ())
        return self._say_rejected(reason, len(sealed), details) + self._setbacks.answered(now_s)

    def _say_rejected(self, reason: str, n: int, details: Mapping[str, object] | None = None) -> list[Notice]:
        fields: dict[str, object] = {"reason": reason, "records": n, **(details or {})}
        return self._said.once("rejected " + reason, "error", "destination rejects records", fields)
