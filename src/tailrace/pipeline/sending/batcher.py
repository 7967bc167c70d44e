"""Putting records together into requests. Pure."""

from __future__ import annotations

from tailrace.model.batch import Batch
from tailrace.pipeline.times import epoch_ms, normal_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.pipeline.interfaces import Limits
    from tailrace.pipeline.spooling.spool import Place

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


class Sealed:
    """A batch that will not change any more, with what is needed to halve it.

    `runs` are the places where sequence numbers do not simply count on, as (index, number), `times` those where the
    records' time moves on, as (index, time). `unconfirmed` is true while a former attempt may have arrived,
    `is_written` while all of it is on the wire, `is_express` while a second connection has it, `is_cut` where its only
    record was shortened. `first` is the place of its first record among all that were ever accepted. Halves of one
    batch share its `trials`.

    A batch that was read from the spool lies there still: at `place`, its records at `places` of the batch as it was
    written, since `since_ms`. `environment` is who sealed it, where that was another process.
    """

    __slots__ = (
        "_runs",
        "_times",
        "batch",
        "environment",
        "first",
        "is_cut",
        "is_express",
        "is_written",
        "place",
        "places",
        "since_ms",
        "trials",
        "unconfirmed",
    )

    def __init__(
        self,
        parts: list[bytes],
        runs: list[tuple[int, int]],
        start: str,
        trials: Trials | None = None,
        times: list[tuple[int, str]] | None = None,
        first: int = 0,
    ) -> None:
        self._runs = runs
        self._times = times or [(0, start)]
        self.first = first
        self.is_written = False
        self.is_express = False
        self.is_cut = False
        self.batch = Batch(parts, self._seq_at(0), self._seq_at(len(parts) - 1), start)
        self.trials = trials or Trials()
        self.unconfirmed = False
        self.place: Place | None = None
        self.places: Sequence[int] = ()
        self.since_ms = 0
        self.environment: str | None = None

    @classmethod
    def of_rows(cls, rows: Sequence[tuple[int, str, bytes]], start: str) -> Sealed:
        """A batch of (sequence number, time, encoded record), at least one."""
        runs: list[tuple[int, int]] = []
        times: list[tuple[int, str]] = []
        next_seq, last_time = -1, None
        for index, (seq, time, _) in enumerate(rows):
            if seq != next_seq:
                runs.append((index, seq))
            if time != last_time:
                times.append((index, time))
            next_seq, last_time = seq + 1, time
        return cls([data for _, _, data in rows], runs, start, None, times)

    def rows(self) -> list[tuple[int, str, bytes]]:
        """Its records as (sequence number, time down to the hundredth of a second, bytes)."""
        runs, times = dict(self._runs), dict(self._times)
        seq, time = -1, ""
        found = []
        for index, data in enumerate(self.batch.parts):
            seq, time = runs.get(index, seq + 1), times.get(index, time)
            found.append((seq, time, data))
        return found

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def seqs(self) -> list[int]:
        """The sequence number of every record."""
        return [self._seq_at(index) for index in range(len(self))]

    def halves(self) -> tuple[Sealed, Sealed]:
        """Two batches in the same order, of the same time. Only for two records and more."""
        middle = len(self) // 2
        return self.part(0, middle), self.part(middle, len(self))

    def part(self, begin: int, end: int) -> Sealed:
        """The records from `begin` up to `end`, as a batch of the same time."""
        runs = [(0, self._seq_at(begin)), *[(i - begin, seq) for i, seq in self._runs if begin < i < end]]
        time = [time for index, time in self._times if index <= begin][-1]
        times = [(0, time), *[(i - begin, later) for i, later in self._times if begin < i < end]]
        parts, start = self.batch.parts[begin:end], self.batch.start
        part = Sealed(parts, runs, start, self.trials, times, self.first + begin)
        return part._lying(self, self.places[begin:end])

    def picked(self, places: Sequence[int]) -> Sealed:
        """The records at these places (ascending, at least one), as a batch of the same time."""
        singles = [self.part(place, place + 1) for place in places]
        parts = [part for single in singles for part in single.batch.parts]
        runs = [(index, single._seq_at(0)) for index, single in enumerate(singles)]
        times = [(index, single._times[0][1]) for index, single in enumerate(singles)]
        picked = Sealed(parts, runs, self.batch.start, self.trials, times, singles[0].first)
        return picked._lying(self, [self.places[place] for place in places] if self.place is not None else ())

    def replaced(self, part: bytes) -> Sealed:
        """The same single record in other bytes."""
        twin = Sealed([part], self._runs, self.batch.start, self.trials, self._times, self.first)
        twin.is_cut = True
        return twin._lying(self, self.places)

    def ages(self, wall_s: float) -> list[tuple[int, int]]:
        """How old its records are at `wall_s`, as (milliseconds, how many). Records without a usable time have none."""
        ends = [index for index, _ in self._times[1:]] + [len(self)]
        found = []
        for (begin, text), end in zip(self._times, ends, strict=True):
            time_ms = epoch_ms(text)
            if time_ms is not None:
                found.append((int(wall_s * 1000) - time_ms, end - begin))
        return found

    def _lying(self, whole: Sealed, places: Sequence[int]) -> Sealed:
        """This part of `whole`, where that lies in the spool."""
        self.place, self.places = whole.place, places
        self.since_ms, self.environment = whole.since_ms, whole.environment
        return self

    def _seq_at(self, index: int) -> int:
        for begin, seq in reversed(self._runs):
            if begin <= index:
                return seq + index - begin
        raise IndexError(index)


class Trials:
    """How the halves of one batch have fared: refused requests since something of it was taken; all requests, and when
    the first and the last of them began (seconds since 1970)."""

    __slots__ = ("attempts", "first_s", "last_s", "refused")

    def __init__(self) -> None:
        self.refused = 0
        self.attempts = 0
        self.first_s: float | None = None
        self.last_s: float | None = None

    def begun(self, wall_s: float) -> None:
        """A request is about to be made."""
        self.attempts += 1
        self.last_s = wall_s
        if self.first_s is None:
            self.first_s = wall_s


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
