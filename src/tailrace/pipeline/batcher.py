"""Putting records together into requests. Pure."""

from __future__ import annotations

from tailrace.model.batch import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.pipeline.interfaces import Limits
    from tailrace.pipeline.queue import Entry

SEPARATOR_BYTES = 1  # the line break or the comma that every record brings along


class Sealed:
    """A batch that will not change any more, with what is needed to halve it.

    `unconfirmed` is true while a former attempt may have arrived.
    """

    __slots__ = ("batch", "entries", "unconfirmed")

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.batch = Batch([e.data for e in entries], entries[0].seq, entries[-1].seq, entries[0].time)
        self.unconfirmed = False

    def __len__(self) -> int:
        return len(self.entries)

    def halves(self) -> tuple[Sealed, Sealed]:
        """Two batches in the same order. Only for two records and more."""
        middle = len(self.entries) // 2
        return Sealed(self.entries[:middle]), Sealed(self.entries[middle:])


class Batcher:
    """Seals by count, encoded bytes, age, and where `limits.by_hour` says so by the hour of the records' time."""

    __slots__ = ("_entries", "_limits", "_max_age_s", "_opened_s", "n_bytes")

    def __init__(self, limits: Limits, max_age_s: float | None) -> None:
        self._limits = limits
        self._max_age_s = max_age_s
        self._entries: list[Entry] = []
        self._opened_s = 0.0
        self.n_bytes = 0

    def __len__(self) -> int:
        """Records in the open batch."""
        return len(self._entries)

    def fits_alone(self, entry: Entry) -> bool:
        """False where not even a request of its own may carry `entry`."""
        return len(entry.data) + SEPARATOR_BYTES <= self._limits.max_bytes

    def add(self, entry: Entry, now_s: float) -> list[Sealed]:
        """Take `entry` in; the batches that this filled, in order (none, one or two)."""
        sealed: list[Sealed] = []
        size = len(entry.data) + SEPARATOR_BYTES
        if self._entries and (self.n_bytes + size > self._limits.max_bytes or self._hour_changes(entry)):
            sealed += self.seal()
        if not self._entries:
            self._opened_s = now_s
        self._entries.append(entry)
        self.n_bytes += size
        if len(self._entries) >= self._limits.max_records or self.n_bytes >= self._limits.max_bytes:
            sealed += self.seal()
        return sealed

    def seal(self) -> list[Sealed]:
        """Close the open batch, if there is one."""
        if not self._entries:
            return []
        sealed = Sealed(self._entries)
        self._entries = []
        self.n_bytes = 0
        return [sealed]

    def seal_expired(self, now_s: float) -> list[Sealed]:
        """Close the open batch if it has reached its age."""
        expires_s = self.expires_s
        return self.seal() if expires_s is not None and now_s >= expires_s else []

    @property
    def expires_s(self) -> float | None:
        """When the open batch will be old enough to leave; None where there is none, or no such limit."""
        if not self._entries or self._max_age_s is None:
            return None
        return self._opened_s + self._max_age_s

    def _hour_changes(self, entry: Entry) -> bool:
        return self._limits.by_hour and entry.time[:13] != self._entries[0].time[:13]
