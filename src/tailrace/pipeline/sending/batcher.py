"""Putting records together into requests. Pure."""

from __future__ import annotations

from tailrace.pipeline.sealed import Sealed
from tailrace.pipeline.times import normal_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.pipeline.interfaces import Limits

HURRIED_AGE_S = 0.01  # what one post of telemetry brings leaves together, nothing waits for the next
_SAME_TIME = 22  # characters of a time down to the hundredth of a second
SEPARATOR_BYTES = 1  # the line break or the comma that every record brings along


class Entry:
    """One encoded record on its way into a batch: its bytes, its sequence number, its time as it came."""

    __slots__ = ("data", "seq", "time")

    def __init__(self, data: bytes, seq: int, time: str) -> None:
        self.data = data
        self.seq = seq
        self.time = time


class Batcher:
    """Seals by count, encoded bytes, age, and where `limits.by_hour` says so by the hour of the records' time.

    `max_bytes` seals earlier than the limits would; a larger record then has a batch of its own. `max_age_s`
    replaces the limits' own age.
    """

    __slots__ = (
        "_by_hour",
        "_hour",
        "_max_bytes",
        "_max_records",
        "_next_seq",
        "_opened_s",
        "_parts",
        "_runs",
        "_start",
        "_time",
        "_times",
        "hurry_from_s",
        "max_age_s",
        "n_bytes",
    )

    def __init__(self, limits: Limits, max_bytes: int | None = None, max_age_s: float | None = None) -> None:
        self._by_hour = limits.by_hour
        self._max_records = limits.max_records
        self._max_bytes = limits.max_bytes if max_bytes is None else min(limits.max_bytes, max_bytes)
        self.max_age_s = limits.max_age_s if max_age_s is None else max_age_s
        self._parts: list[bytes] = []
        self._runs: list[tuple[int, int]] = []
        self._times: list[tuple[int, str]] = []
        self._time = ""
        self.hurry_from_s: float | None = None
        self._next_seq = -1
        self._start = self._hour = ""
        self._opened_s = 0.0
        self.n_bytes = 0

    def __len__(self) -> int:
        """Records in the open batch."""
        return len(self._parts)

    @property
    def start(self) -> str:
        """The time of the open batch's first record; of the last one's where none is open."""
        return self._start

    def add(self, entry: Entry, now_s: float, arrived: str) -> Sequence[Sealed]:
        """Take `entry` in; the batches that this filled, in order (none, one or two).

        `arrived` is the time of a record that has no usable one (RFC 3339, UTC, milliseconds).
        """
        size = len(entry.data) + SEPARATOR_BYTES
        sealed: Sequence[Sealed] = ()
        time = entry.time
        # The plain comparison of the hour comes first: this is done for every record.
        if self._parts and (
            self.n_bytes + size > self._max_bytes
            or (self._by_hour and time[:13] != self._hour and (normal_time(time) or arrived)[:13] != self._hour)
        ):
            sealed = self.seal()
        if not self._parts:
            self._open(time, now_s, arrived)
        if entry.seq != self._next_seq:
            self._runs.append((len(self._parts), entry.seq))
        self._next_seq = entry.seq + 1
        if time[:_SAME_TIME] != self._time:
            self._time = time[:_SAME_TIME]
            self._times.append((len(self._parts), time))
        self._parts.append(entry.data)
        self.n_bytes += size
        if len(self._parts) >= self._max_records or self.n_bytes >= self._max_bytes:
            return (*sealed, *self.seal())
        return sealed

    def seal(self) -> Sequence[Sealed]:
        """Close the open batch, if there is one."""
        if not self._parts:
            return ()
        sealed = Sealed(self._parts, self._runs, self._start, None, self._times)
        self._parts = []
        self.n_bytes = 0
        return (sealed,)

    def seal_expired(self, now_s: float) -> Sequence[Sealed]:
        """Close the open batch if it has reached its age."""
        expires_s = self.expires_s
        return self.seal() if expires_s is not None and now_s >= expires_s else ()

    @property
    def expires_s(self) -> float | None:
        """When the open batch will be old enough to leave; None where there is none. From `hurry_from_s` on that is
        almost at once."""
        if not self._parts:
            return None
        expires_s = self._opened_s + self.max_age_s
        if self.hurry_from_s is None:
            return expires_s
        return min(expires_s, max(self.hurry_from_s, self._opened_s + HURRIED_AGE_S))

    def _open(self, time: str, now_s: float, arrived: str) -> None:
        self._opened_s = now_s
        self._start = normal_time(time) or arrived
        self._hour = self._start[:13]
        self._runs = []
        self._times = []
        self._time = ""
        self._next_seq = -1


def pack(entries: Sequence[Entry], limits: Limits, arrived: str) -> list[Sealed]:
    """Entries as batches of their own, as the limits would have them; `arrived` as for `Batcher.add`."""
    batcher = Batcher(limits)
    packed: list[Sealed] = []
    for entry in entries:
        packed += batcher.add(entry, 0.0, arrived)
    return [*packed, *batcher.seal()]
