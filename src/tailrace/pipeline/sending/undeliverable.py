"""What one destination does not get. Where there are dead letters it goes there, and is booked when it has arrived;
without them the ledger counts it as lost, with the reason. Loaded with the first of it."""

from __future__ import annotations

from tailrace.pipeline import ledger
from tailrace.pipeline.sending.batcher import Entry, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.pipeline.interfaces import Bury, Limits
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.sealed import Sealed
    from tailrace.pipeline.sending.notices import Notice, Said
    from tailrace.pipeline.sending.setbacks import Setbacks


class Undeliverable:
    """Books in `row`, or hands over to `bury`, what was cut as it was before. What is to be said comes back, or is the
    caller's to say."""

    __slots__ = ("_bury", "_limits", "_row", "_said", "_setbacks")

    def __init__(self, row: LedgerRow, limits: Limits, bury: Bury | None, setbacks: Setbacks, said: Said) -> None:
        self._row = row
        self._limits = limits
        self._bury = bury
        self._setbacks = setbacks
        self._said = said

    @property
    def buries(self) -> bool:
        """Whether there are dead letters."""
        return self._bury is not None

    def refuse(self, sealed: Sealed, reason: str) -> None:
        """The destination will never take this as it is; `reason` is its own."""
        if self._bury is None:
            self._row.reject(len(sealed), reason)
        elif reason == ledger.TOO_LARGE:
            self._bury([sealed.uncut], reason, _refused_sizes(sealed))
        else:
            self._bury([sealed.uncut], ledger.REJECTED, reason)

    def refuse_too_large(self, entries: Sequence[Entry], arrived: str) -> list[Notice]:
        """No request may hold these."""
        if self._bury is None:
            self._row.reject(len(entries), ledger.RECORD_TOO_LARGE)
        else:
            for entry in entries:
                sizes = f"a record of {len(entry.data)} bytes, a request may have {self._limits.max_bytes}"
                self._bury(pack([entry], self._limits, arrived), ledger.RECORD_TOO_LARGE, sizes)
        fields: dict[str, object] = {"recordBytes": len(entries[0].data), "maxBytes": self._limits.max_bytes}
        message = "record is larger than a request may be"
        return self._said.once(ledger.RECORD_TOO_LARGE, "warn", message, fields)

    def find_no_room(self, entries: Sequence[Entry], arrived: str, reason: str, queue_max_bytes: int) -> list[Notice]:
        """Neither memory nor the disk takes these."""
        self.lose(entries, arrived, reason)
        fields: dict[str, object] = {"queueMaxBytes": queue_max_bytes, "reason": reason}
        return self._said.once(reason, "warn", "queue is full: the newest records are dropped", fields)

    def lose(self, entries: Sequence[Entry], arrived: str, reason: str) -> None:
        """There is no room for them, or no time."""
        if self._bury is None:
            self._row.drop(len(entries), reason)
        else:
            self._bury(pack(entries, self._limits, arrived), reason, self._setbacks.last_failure)

    def leave(self, sealed: Sealed) -> None:
        """The end came before this was delivered."""
        if self._bury is None:
            self._row.drop(len(sealed), ledger.SHUTDOWN)
        else:
            self._bury([sealed.uncut], ledger.SHUTDOWN, self._setbacks.last_failure)


def _refused_sizes(sealed: Sealed) -> str:
    """Of a single record that was refused for its size, whole and as it was refused last."""
    refused = f"refused for its size at {sealed.batch.n_bytes} bytes"
    return refused if sealed.cut is None else f"{refused}, cut from {sealed.cut.whole_bytes}"
