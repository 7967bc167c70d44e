"""What waits for one destination, bounded in bytes. Pure.

The bound covers a record from the moment it is put here until it has an outcome: taking entries out to
batch them does not make room, `release` does. So a destination that is down cannot make memory grow.
"""

from __future__ import annotations

from tailrace.errors import ConfigError

DROP_NEWEST = "drop_newest"  # the queue keeps what it has; the newcomer is dropped
POLICIES = (DROP_NEWEST,)


class Entry:
    """One encoded record: its bytes, its sequence number, its time (RFC 3339, UTC, milliseconds)."""

    __slots__ = ("data", "seq", "time")

    def __init__(self, data: bytes, seq: int, time: str) -> None:
        self.data = data
        self.seq = seq
        self.time = time


class RecordQueue:
    """First in, first out. Raises `ConfigError` for a policy that does not exist."""

    __slots__ = ("_entries", "max_bytes", "reserved_bytes", "waiting_bytes")

    def __init__(self, max_bytes: int, when_full: str = DROP_NEWEST) -> None:
        if when_full not in POLICIES:
            raise ConfigError(
                "when the queue is full", f"unknown policy {when_full!r}", f"one of {', '.join(POLICIES)}"
            )
        self.max_bytes = max_bytes
        self.reserved_bytes = 0
        self.waiting_bytes = 0
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> bool:
        """True when there was room; False when `entry` has to be dropped."""
        size = len(entry.data)
        if self.reserved_bytes + size > self.max_bytes:
            return False
        self._entries.append(entry)
        self.reserved_bytes += size
        self.waiting_bytes += size
        return True

    def take_all(self) -> list[Entry]:
        """Everything that waits. Its bytes stay reserved."""
        entries, self._entries = self._entries, []
        self.waiting_bytes = 0
        return entries

    def release(self, n_bytes: int) -> None:
        """Entries of `n_bytes` in all have their outcome."""
        self.reserved_bytes -= n_bytes
