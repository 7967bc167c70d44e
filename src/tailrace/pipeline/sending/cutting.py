"""Records that are larger than a request may be: cut to size, with a mark, where their form allows it."""

from __future__ import annotations

from tailrace.pipeline.sending.batcher import SEPARATOR_BYTES, Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.pipeline.interfaces import Limits
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.sealed import Sealed
    from tailrace.pipeline.sending.notices import Notice, Said

    # A record cut to a size and marked as cut, or None where that cannot be done.
    Truncate = Callable[[bytes, int], bytes | None]

# A record that is refused for its size even alone is halved down to this, and then given up.
_LEAST_RECORD_BYTES = 1024


class Cutting:
    """Cuts for one destination, and counts it in `row`. `largest_bytes` is the most that a record may have."""

    __slots__ = ("_row", "_said", "_truncate", "largest_bytes", "max_bytes")

    def __init__(self, row: LedgerRow, limits: Limits, truncate: Truncate | None, said: Said) -> None:
        self._row = row
        self._truncate = truncate
        self._said = said
        self.max_bytes = limits.max_bytes
        self.largest_bytes = limits.max_bytes - SEPARATOR_BYTES

    def fitting(self, entry: Entry) -> Entry:
        """The record cut so that a request may hold it; as it was where that cannot be done."""
        data = self._truncate(entry.data, self.largest_bytes) if self._truncate is not None else None
        return entry if data is None else Entry(data, entry.seq, entry.time)

    def halved(self, sealed: Sealed) -> Sealed | None:
        """A batch of a single record, which was too large all the same, with that record cut again."""
        size = sealed.batch.n_bytes // 2
        if self._truncate is None or size < _LEAST_RECORD_BYTES:
            return None
        shorter = self._truncate(sealed.batch.parts[0], size)
        return None if shorter is None or len(shorter) >= sealed.batch.n_bytes else sealed.replaced(shorter)

    def count(self, n: int) -> list[Notice]:
        """`n` records were cut for the first time."""
        if not n:
            return []
        self._row.truncate(n)
        fields: dict[str, object] = {"records": n, "maxBytes": self.max_bytes}
        return self._said.once("truncated", "warn", "records are larger than a request may be and were cut", fields)
