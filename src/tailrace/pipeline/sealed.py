"""Batches that are ready to leave: with what is needed to take them apart and to know them again."""

from __future__ import annotations

from tailrace.model.batch import Batch
from tailrace.pipeline.times import epoch_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.pipeline.sending.cutting import Cut
    from tailrace.pipeline.spooling.place import Place


class Sealed:
    """A batch that will not change any more, with what is needed to halve it.

    `runs` are the places where sequence numbers do not simply count on, as (index, number), `times` those where the
    records' time moves on, as (index, time). `unconfirmed` is true while a former attempt may have arrived,
    `is_written` while all of it is on the wire, `is_express` while a second connection has it, `cut` says how its only
    record was shortened, where it was; `was_repeated` is true once it went out again for free. `first` is the place of
    its first record among all that were ever accepted. Halves of one batch share its `trials`.

    A batch that was read from the spool lies there still: at `place`, its records at `places` of the batch as it was
    written, since `since_ms`. `environment` is who sealed it, where that was another process.
    """

    __slots__ = (
        "_runs",
        "_times",
        "batch",
        "cut",
        "environment",
        "first",
        "is_express",
        "is_written",
        "place",
        "places",
        "since_ms",
        "trials",
        "unconfirmed",
        "was_repeated",
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
        self.cut: Cut | None = None
        self.batch = Batch(parts, self._seq_at(0), self._seq_at(len(parts) - 1), start)
        self.trials = trials or Trials()
        self.unconfirmed = False
        self.was_repeated = False
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
        if len(places) == len(self):
            return self
        singles = [self.part(place, place + 1) for place in places]
        parts = [part for single in singles for part in single.batch.parts]
        runs = [(index, single._seq_at(0)) for index, single in enumerate(singles)]
        times = [(index, single._times[0][1]) for index, single in enumerate(singles)]
        picked = Sealed(parts, runs, self.batch.start, self.trials, times, singles[0].first)
        return picked._lying(self, [self.places[place] for place in places] if self.place is not None else ())

    @property
    def is_cut(self) -> bool:
        return self.cut is not None

    @property
    def uncut(self) -> Sealed:
        """With its record as it was, where that is still there."""
        original = self.cut.original if self.cut is not None else None
        return self if original is None else self.replaced(original, None)

    def replaced(self, part: bytes, cut: Cut | None) -> Sealed:
        """The same single record in other bytes."""
        twin = Sealed([part], self._runs, self.batch.start, self.trials, self._times, self.first)
        twin.cut = cut
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
    """How the parts of one batch have fared: requests that were refused before anything of it was taken, and whether
    something was; all requests, and when the first and the last of them began (seconds since 1970)."""

    __slots__ = ("attempts", "first_s", "last_s", "refused", "was_taken")

    def __init__(self) -> None:
        self.refused = 0
        self.was_taken = False
        self.attempts = 0
        self.first_s: float | None = None
        self.last_s: float | None = None

    def begun(self, wall_s: float) -> None:
        """A request is about to be made."""
        self.attempts += 1
        self.last_s = wall_s
        if self.first_s is None:
            self.first_s = wall_s
