"""What becomes of a batch by the destination's answer. Pure."""

from __future__ import annotations

from tailrace.pipeline.messages import DELIVERED, PARTIAL, POISONED, REJECTED, SPLIT
from tailrace.pipeline.sending.notices import NOT_TAKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.messages import Outcome
    from tailrace.pipeline.sealed import Sealed
    from tailrace.pipeline.sending.notices import Notice, Said
    from tailrace.pipeline.sending.refusals import Refusals
    from tailrace.pipeline.sending.send_queue import SendQueue
    from tailrace.pipeline.sending.setbacks import Setbacks

_NOT_AS_IT_IS = (PARTIAL, SPLIT, POISONED, REJECTED)


class Outcomes:
    """Books in `row` and changes `queue`; what is to be said comes back. `make_refusals` is asked for the rest of it
    when something is refused for the first time. `wall_s` is the moment by which ages are measured, if they are."""

    __slots__ = ("_make_refusals", "_queue", "_refusals", "_row", "_said", "_setbacks")

    def __init__(
        self, row: LedgerRow, queue: SendQueue, setbacks: Setbacks, said: Said, make_refusals: Callable[[], Refusals]
    ) -> None:
        self._row = row
        self._queue = queue
        self._setbacks = setbacks
        self._said = said
        self._make_refusals = make_refusals
        self._refusals: Refusals | None = None

    def replied(
        self, sealed: Sealed, outcome: Outcome, now_s: float, draw: float, wall_s: float | None
    ) -> list[Notice]:
        """The destination answered, and it was not about who asks (`AUTHENTICATION`)."""
        if outcome.kind == DELIVERED:
            return self._delivered(sealed, now_s, wall_s)
        if outcome.kind not in _NOT_AS_IT_IS:
            return self._setbacks.postpone(now_s, draw, NOT_TAKEN, outcome.reason, outcome.retry_after_s, wall_s)
        if self._refusals is None:
            self._refusals = self._make_refusals()
        return self._refusals.replied(sealed, outcome, now_s, draw, wall_s)

    def at_the_end(self) -> list[Notice]:
        """What is still to be said of what was refused."""
        return [] if self._refusals is None else self._refusals.at_the_end()

    def _delivered(self, sealed: Sealed, now_s: float, wall_s: float | None) -> list[Notice]:
        self._row.deliver(len(sealed), sealed.ages(wall_s) if wall_s is not None else ())
        sealed.trials.was_taken = True
        self._queue.replace(sealed, ())
        self._said.forget()
        if self._refusals is None:
            return self._setbacks.answered(now_s)
        self._refusals.isolates = True
        return self._refusals.taken(sealed) + self._setbacks.answered(now_s)
