"""Records that are too large, cut to size with a mark, where their form allows it. Loaded with the first of them."""

from __future__ import annotations

from tailrace.pipeline.sending.batcher import SEPARATOR_BYTES, Entry
from tailrace.pipeline.sending.notices import Notice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.pipeline.interfaces import Limits
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.sealed import Sealed

    # A record cut to a size and marked as cut, or None where that cannot be done.
    Truncate = Callable[[bytes, int], bytes | None]

# A record that is refused for its size even alone is halved down to this, and then given up.
_LEAST_RECORD_BYTES = 1024


class Cut:
    """How a record was shortened because its destination refused it: from `whole_bytes`, the last time at
    `refused_bytes`. `original` is the whole record, where somebody wants it if it is not taken in the end."""

    __slots__ = ("original", "refused_bytes", "whole_bytes")

    def __init__(self, original: bytes | None, whole_bytes: int, refused_bytes: int) -> None:
        self.original = original
        self.whole_bytes = whole_bytes
        self.refused_bytes = refused_bytes


class Cutting:
    """Cuts for one destination, and counts it in `row`. Each way of being too large is said once: the ledger counts."""

    __slots__ = ("_limits", "_row", "_said", "_truncate")

    def __init__(self, row: LedgerRow, limits: Limits, truncate: Truncate | None) -> None:
        self._row = row
        self._limits = limits
        self._truncate = truncate
        self._said: set[str] = set()

    def fitting(self, entry: Entry) -> Entry:
        """The record cut so that a request may hold it; as it was where that cannot be done."""
        largest_bytes = self._limits.max_bytes - SEPARATOR_BYTES
        data = self._truncate(entry.data, largest_bytes) if self._truncate is not None else None
        return entry if data is None else Entry(data, entry.seq, entry.time)

    def fitted(self, n: int) -> list[Notice]:
        """`n` records were cut before anybody sent them."""
        self._row.truncate(n)
        fields: dict[str, object] = {"records": n, "maxBytes": self._limits.max_bytes}
        return self._once("records are larger than a request may be and were cut", fields)

    def halved(self, sealed: Sealed, keeps_original: bool) -> Sealed | None:
        """A batch of a single record, which was refused for its size all the same, with that record cut again."""
        before, whole = sealed.cut, sealed.batch.parts[0]
        size = len(whole) // 2
        if self._truncate is None or size < _LEAST_RECORD_BYTES:
            return None
        shorter = self._truncate(whole, size)
        if shorter is None or len(shorter) >= len(whole):
            return None
        if before is not None:
            return sealed.replaced(shorter, Cut(before.original, before.whole_bytes, len(whole)))
        return sealed.replaced(shorter, Cut(whole if keeps_original else None, len(whole), len(whole)))

    def taken(self, sealed: Sealed) -> list[Notice]:
        """A record that was refused for its size is delivered, as long as it is now."""
        assert sealed.cut is not None
        self._row.truncate(1)
        fields: dict[str, object] = {
            "recordBytes": sealed.cut.whole_bytes,
            "refusedBytes": sealed.cut.refused_bytes,
            "takenBytes": sealed.batch.n_bytes,
        }
        return self._once("destination refused a single record for its size: it was cut until it was taken", fields)

    def _once(self, message: str, fields: dict[str, object]) -> list[Notice]:
        if message in self._said:
            return []
        self._said.add(message)
        return [Notice("warn", message, {"destination": self._row.name, **fields})]
