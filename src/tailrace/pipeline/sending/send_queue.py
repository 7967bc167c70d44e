"""What one sender holds: records that are being batched, and batches that wait or are on their way. Pure."""

from __future__ import annotations

from tailrace.pipeline.sealed import Sealed
from tailrace.pipeline.sending.batcher import Batcher
from tailrace.pipeline.spooling.shelf import Shelved
from tailrace.pipeline.times import epoch_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.pipeline.interfaces import Bury, Limits
    from tailrace.pipeline.sealed import Trials
    from tailrace.pipeline.spooling.shelf import Shelf

# A batch is a quarter of what may wait at most: while one is on its way the next ones are being filled.
_BATCHES_IN_QUEUE = 4


class SendQueue:
    """Bounded in bytes over all of it. Batches lie in the order of their records; `accepted` counts records that got
    past the door, ever, `settled` those of them that have their outcome.

    With a `shelf` the newest batches are put there while memory is full, and read again when their turn comes: the
    order stays what it was. The bound is of memory alone, and is exceeded by what is read for the wire. What is in
    memory may lie on the shelf as well, in case this process is killed.
    """

    __slots__ = (
        "_batcher",
        "_bury",
        "_due",
        "_max_bytes",
        "_on_wire",
        "_preferred",
        "_ready",
        "_sealed",
        "_shelf",
        "accepted",
        "closed",
        "held_bytes",
        "settled",
    )

    def __init__(
        self,
        limits: Limits,
        max_bytes: int,
        max_age_s: float | None,
        shelf: Shelf | None = None,
        bury: Bury | None = None,
    ) -> None:
        self._bury = bury
        self._shelf = shelf
        if shelf is not None:
            shelf.bury = bury
        self._max_bytes = max_bytes
        self._batcher = Batcher(limits, max_bytes // _BATCHES_IN_QUEUE, max_age_s)
        self._ready: list[Sealed | Shelved] = []
        self._preferred: Sealed | None = None  # goes first, wherever it lies
        self._on_wire: Sealed | None = None  # what the sender's own thread is busy with
        self._sealed = 0  # records that got past the batcher, ever
        self._due = 0  # how many of them were flushed
        self.held_bytes = 0
        self.accepted = 0
        self.settled = 0
        self.closed = False

    @property
    def held(self) -> int:
        """Records in the open batch and in sealed ones."""
        return len(self._batcher) + sum(map(len, self._ready))

    def oldest_s(self, wall_s: float) -> float | None:
        """How old the oldest record that is held is, or how long it has lain on disk; None where nobody can tell."""
        if not self._ready:
            time_ms = epoch_ms(self._batcher.start) if self._batcher else None
            return None if time_ms is None else max(0.0, wall_s - time_ms / 1000)
        first = self._ready[0]
        if isinstance(first, Shelved):
            return max(0.0, wall_s - first.since_ms / 1000)
        return max((max(0, age_ms) / 1000 for age_ms, _ in first.ages(wall_s)), default=None)

    @property
    def has_backlog(self) -> bool:
        """Whether records wait on the shelf."""
        return any(isinstance(one, Shelved) for one in self._ready)

    def restored(self, batches: Sequence[Shelved]) -> None:
        """What a former process left on the shelf comes first."""
        first = -sum(map(len, batches))
        for one in batches:
            one.first = first
            first += len(one)
        self._ready[:0] = batches

    def make_room(self, n_bytes: int, promised_bytes: int = 0) -> bool:
        """Whether a post of `n_bytes` has a place beside what was promised one: in memory while that is not full (one
        post may exceed it), after what can be put on the shelf was put there; or else on the shelf."""
        while self.held_bytes + promised_bytes >= self._max_bytes:
            if not self._shelve_newest():
                if self._shelf is not None and self._shelf.is_sound and self._shelf.has_room(n_bytes + promised_bytes):
                    return True
                self.flush()  # what is held makes room once it is delivered: none of it waits to fill a batch
                return False
        return True

    def _fits(self, n_bytes: int) -> bool:
        """Whether one record has a place in memory, after what can be put on the shelf was put there."""
        while self.held_bytes and self.held_bytes + n_bytes > self._max_bytes:
            if not self._shelve_newest():
                self.flush()
                return False
        return True

    def _relieve(self) -> None:
        """What exceeds the bound of memory goes on the shelf, as far as it takes it."""
        while self.held_bytes > self._max_bytes and self._shelve_newest():
            pass

    def _shelve_newest(self) -> bool:
        """One batch less in memory. What lies on the shelf as well costs nothing to let go."""
        if self._shelf is None:
            return False
        resting = [one for one in self._ready if isinstance(one, Sealed) and self._rests(one)]
        read = next((one for one in reversed(resting) if one.place is not None and not one.is_cut), None)
        if read is not None:
            self._put_away(read, self._shelf.back(read))
            return True
        newest = next((one for one in reversed(resting) if one.place is None and not one.is_cut), None)
        if newest is None:
            if not self._batcher:
                return False
            self._admit(self._batcher.seal())
            return self._shelve_newest()
        shelved = self._shelf.put(newest)
        if shelved is not None:
            self._put_away(newest, shelved)
        return shelved is not None

    def back_up(self) -> bool:
        """The first batch that is in memory alone goes on the shelf as well. False where there is none, or no room."""
        if self._shelf is None:
            return False
        self._admit(self._batcher.seal())
        one = next((one for one in self._ready if isinstance(one, Sealed) and one.place is None), None)
        shelved = None if one is None else self._shelf.put(one.uncut)
        if one is None or shelved is None:
            return False
        one.place, one.places, one.since_ms = shelved.place, shelved.places, shelved.since_ms
        if not self._rests(one):
            self.doubt(one)
        return True

    def _rests(self, one: Sealed) -> bool:
        return one is not self._on_wire and not one.is_express and not one.is_written

    def _put_away(self, sealed: Sealed, shelved: Shelved) -> None:
        shelved.first = sealed.first
        if sealed is self._preferred:
            self._preferred = None
        self._ready[self._index_of(sealed)] = shelved
        self.held_bytes -= sealed.batch.n_bytes

    def _index_of(self, one: Sealed | Shelved) -> int:
        return next(i for i, other in enumerate(self._ready) if other is one)

    def _admit(self, sealed: Sequence[Sealed]) -> None:
        """Batches come in order: each begins where the one before it ended."""
        for one in sealed:
            one.first = self._sealed
            self._sealed += len(one)
            self._ready.append(one)

    def flush(self) -> None:
        """Whatever was accepted so far leaves as soon as it can. While the wire is taken nothing is sealed for that:
        what comes meanwhile joins the same request, or a slow destination would get ever more of them."""
        self._due = self.accepted
        if not self._ready:
            self._seal_due()

    def _seal_due(self, now_s: float | None = None) -> None:
        """Seal what was flushed, or, at `now_s`, has reached its age."""
        if self._due > self._sealed:
            self._admit(self._batcher.seal())
        elif now_s is not None:
            self._admit(self._batcher.seal_expired(now_s))

    def hurry_from(self, moment_s: float | None) -> None:
        """From this moment on records leave as they come: whoever sends them may be killed."""
        self._batcher.hurry_from_s = moment_s

    def is_settled(self, goal: int) -> bool:
        """Whether the first `goal` records that were ever accepted have their outcome."""
        return self._sealed >= goal and not (self._ready and self._ready[0].first < goal)

    @property
    def is_first_written(self) -> bool:
        """Whether the first batch is on the wire."""
        return bool(self._ready) and self._ready[0].is_written

    def is_written(self, goal: int) -> bool:
        """Whether each of them has its outcome or is on the wire."""
        return self._sealed >= goal and all(one.is_written for one in self._ready if one.first < goal)

    def _first_waiting(self, now_s: float | None = None) -> Sealed | None:
        """The first batch that nobody has; sealed now, where it is due and none waits before it."""
        waiting = self._waiting()
        if waiting is None and not self.closed:
            self._seal_due(now_s)
            waiting = self._waiting()
        return waiting

    def _waiting(self) -> Sealed | None:
        """Read, if it lies on the shelf."""
        while True:
            first = self._preferred
            if first is not None and first is not self._on_wire and not first.is_express:
                return first
            one = next((one for one in self._ready if one is not self._on_wire and not one.is_express), None)
            if not isinstance(one, Shelved):
                break
            self._read(one)
        if self._shelf is not None:
            self._shelf.tell_lost()
        return one

    def _read(self, shelved: Shelved) -> None:
        """Put what lies on the shelf in its place. What is lost there is booked there."""
        assert self._shelf is not None
        sealed = self._shelf.take(shelved)
        index = self._index_of(shelved)
        self._ready[index : index + 1] = [sealed] if sealed is not None else []
        if sealed is not None:
            self.held_bytes += sealed.batch.n_bytes
        self.settled += len(shelved) - (len(sealed) if sealed is not None else 0)

    def doubt(self, sealed: Sealed) -> None:
        """It was sent, and if this process ends now nobody knows whether it arrived."""
        if self._shelf is not None and sealed.place is not None:
            self._shelf.doubt(sealed.place)

    @property
    def n_express(self) -> int:
        """Batches that further threads have."""
        return sum(one.is_express for one in self._ready)

    def replace(self, sealed: Sealed, by: Sequence[Sealed]) -> None:
        """Put `by` where `sealed` stood; what has no place any more has its outcome."""
        if sealed is self._preferred:
            self._preferred = None
        index = self._index_of(sealed)
        self._ready[index : index + 1] = by
        if self._shelf is not None and sealed.place is not None:
            still = {place for one in by for place in one.places}
            gone = [place for place in sealed.places if place not in still]
            if gone:
                self._shelf.settle(sealed.place, gone)
        self.held_bytes += sum(one.batch.n_bytes for one in by) - sealed.batch.n_bytes
        self.settled += len(sealed) - sum(map(len, by))

    def parts_of(self, trials: Trials) -> list[Sealed]:
        """What is left of a batch that is being taken apart."""
        return [one for one in self._ready if isinstance(one, Sealed) and one.trials is trials]

    def try_single(self, trials: Trials) -> None:
        """The next request is for a single record of that batch, from the middle of its largest part. It stays where it
        lies: what is waited for is known by its place."""
        parts = [one for one in self.parts_of(trials) if self._rests(one) and not one.unconfirmed]
        if not parts:
            return
        largest = max(parts, key=len)
        middle, end = len(largest) // 2, len(largest)
        self._preferred = largest if end == 1 else largest.part(middle, middle + 1)
        if end > 1:
            pieces = [largest.part(begin, stop) for begin, stop in ((0, middle), (middle + 1, end)) if begin < stop]
            self.replace(largest, [pieces[0], self._preferred, *pieces[1:]])

    # -- the end

    def _seal_rest(self, keep: bool) -> None:
        """Nothing comes any more. With `keep`, forget what lies on the shelf then."""
        self._admit(self._batcher.seal())
        if not keep or self._shelf is None:
            return
        for one in [one for one in self._ready if isinstance(one, Sealed)]:
            one.unconfirmed = one.unconfirmed or one is self._on_wire or one.is_written or one.is_express
            if one.unconfirmed:
                self.doubt(one)
            shelved = self._shelf.back(one) if one.place is not None else self._shelf.put(one.uncut)
            if shelved is not None:
                self._put_away(one, shelved)
        self._ready = [one for one in self._ready if isinstance(one, Sealed)]

    @property
    def remaining_bytes(self) -> int | None:
        """What the first of the batches has, rather too much than too little; None where there is none."""
        if not self._ready:
            return None
        one = self._ready[0]
        return one.place.end - one.place.offset if isinstance(one, Shelved) else one.batch.n_bytes

    def _first_of_remains(self) -> Sealed | None:
        """Read, if it lies on the shelf; None where it is not there any more."""
        if self._ready and isinstance(self._ready[0], Shelved):
            assert self._shelf is not None
            n = len(self._ready)
            self._read(self._ready[0])
            self._shelf.tell_lost()
            if len(self._ready) < n:
                return None
        one = self._ready[0] if self._ready else None
        return None if isinstance(one, Shelved) else one

    def _forget_rest(self) -> int:
        """Nothing is held any more, in memory or on the shelf. How many records that were."""
        n = self.held
        for one in self._ready:
            if self._shelf is not None and one.place is not None:
                self._shelf.settle(one.place, one.places)
        self._ready = []
        self.held_bytes = 0
        self.settled = self.accepted
        return n
