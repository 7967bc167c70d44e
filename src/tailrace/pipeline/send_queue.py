"""What one sender holds: records that are being batched, and batches that wait or are on their way. Pure."""

from __future__ import annotations

from tailrace.pipeline.batcher import Batcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.pipeline.batcher import Sealed
    from tailrace.pipeline.interfaces import Limits

# A batch is a quarter of what may wait at most: while one is on its way the next ones are being filled.
_BATCHES_IN_QUEUE = 4


class SendQueue:
    """Bounded in bytes over all of it. Batches lie in the order of their records; `accepted` counts records that got
    past the door, ever, `settled` those of them that have their outcome."""

    __slots__ = (
        "_batcher",
        "_due",
        "_max_bytes",
        "_on_wire",
        "_ready",
        "_sealed",
        "accepted",
        "closed",
        "held_bytes",
        "settled",
    )

    def __init__(self, limits: Limits, max_bytes: int, max_age_s: float | None) -> None:
        self._max_bytes = max_bytes
        self._batcher = Batcher(limits, max_bytes // _BATCHES_IN_QUEUE, max_age_s)
        self._ready: list[Sealed] = []
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

    def has_room(self, n_bytes: int) -> bool:
        """Whether records of `n_bytes` in all would get in. A single one of any size does where nothing waits."""
        return not self.held_bytes or self.held_bytes + n_bytes <= self._max_bytes

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
        return next((one for one in self._ready if one is not self._on_wire and not one.is_express), None)

    @property
    def n_express(self) -> int:
        """Batches that further threads have."""
        return sum(one.is_express for one in self._ready)

    def _replace(self, sealed: Sealed, by: Sequence[Sealed]) -> None:
        """Put `by` where `sealed` stood; what has no place any more has its outcome."""
        index = next(i for i, other in enumerate(self._ready) if other is sealed)
        self._ready[index : index + 1] = by
        self.held_bytes += sum(one.batch.n_bytes for one in by) - sealed.batch.n_bytes
        self.settled += len(sealed) - sum(map(len, by))

    def _empty(self) -> int:
        """Forget everything; how many records that were."""
        lost = self.held
        self._batcher.seal()
        self._ready = []
        self.held_bytes = 0
        self.settled = self.accepted
        return lost
