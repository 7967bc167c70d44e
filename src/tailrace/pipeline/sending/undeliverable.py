"""What one destination does not get. Where there are dead letters it goes there, and is booked when it has arrived;
without them the ledger counts it as lost, with the reason."""

from __future__ import annotations

from tailrace.pipeline import ledger
from tailrace.pipeline.sending.batcher import Entry, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.pipeline.interfaces import Bury, Limits
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.sealed import Sealed


class Undeliverable:
    """Books in `row`, or hands over to `bury`. `last_failure` is what stood in the way of the destination's records,
    empty once it answers."""

    __slots__ = ("_bury", "_limits", "_row", "last_failure")

    def __init__(self, row: LedgerRow, limits: Limits, bury: Bury | None) -> None:
        self._row = row
        self._limits = limits
        self._bury = bury
        self.last_failure = ""

    @property
    def is_buried(self) -> bool:
        """Whether there are dead letters."""
        return self._bury is not None

    def refuse(self, sealed: Sealed, reason: str) -> None:
        """The destination will never take this as it is; `reason` is its own."""
        if self._bury is None:
            self._row.reject(len(sealed), reason)
        else:
            self._bury([sealed], ledger.TOO_LARGE if reason == ledger.TOO_LARGE else ledger.REJECTED, reason)

    def refuse_too_large(self, entries: Sequence[Entry], arrived: str) -> None:
        """No request may hold these."""
        if self._bury is None:
            self._row.reject(len(entries), ledger.RECORD_TOO_LARGE)
        else:
            self._bury(pack(entries, self._limits, arrived), ledger.RECORD_TOO_LARGE, "")

    def lose(self, entries: Sequence[Entry], arrived: str, reason: str) -> None:
        """There is no room for them, or no time."""
        if self._bury is None:
            self._row.drop(len(entries), reason)
        else:
            self._bury(pack(entries, self._limits, arrived), reason, self.last_failure)

    def leave(self, sealed: Sealed) -> None:
        """The end came before this was delivered."""
        if self._bury is None:
            self._row.drop(len(sealed), ledger.SHUTDOWN)
        else:
            self._bury([sealed], ledger.SHUTDOWN, self.last_failure)
