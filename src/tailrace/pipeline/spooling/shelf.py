"""Where one destination's batches lie when memory has no room for them, and when a process must leave before they are
delivered. In memory a batch on the shelf is a few words: its place in the spool, how many records it has.

What writes and reads the files is loaded with the first batch that is put there.
"""

from __future__ import annotations

from tailrace.pipeline import ledger
from tailrace.pipeline.sealed import Sealed
from tailrace.pipeline.spooling.folder import NO_SPACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.clock import Clock
    from tailrace.pipeline.interfaces import Bury, Diagnostics
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.spooling.place import Place
    from tailrace.pipeline.spooling.spool import Spool

# After a failed write (mostly a full disk) the next one is tried so much later: each costs putting a batch together.
RETRY_AFTER_S = 5.0
# More than the frames of a record take beyond its bytes, on the average.
_FRAME_BYTES = 64


class Shelved:
    """A batch on the shelf, in the place of a `Sealed` one. `places` are its records that have no outcome yet, by their
    places in the batch as it was written; `first` as for any batch."""

    __slots__ = ("first", "place", "places", "since_ms")

    # It is on nobody's way while it lies there.
    is_written = is_express = False

    def __init__(self, place: Place, places: Sequence[int], since_ms: int, first: int = 0) -> None:
        self.place = place
        self.places = places
        self.since_ms = since_ms
        self.first = first

    def __len__(self) -> int:
        return len(self.places)


class Shelf:
    """One destination's part of the spool. The caller keeps its calls from overlapping; `row` is the destination's,
    and gets booked what is lost here.

    `opened` gives the spool, or raises `OSError`; it is asked when something is to be put there or taken over for the
    first time. Nothing here raises for what happens to files.
    """

    __slots__ = (
        "_clock",
        "_diagnostics",
        "_failure",
        "_lost",
        "_max_age_s",
        "_max_bytes",
        "_opened",
        "_retry_s",
        "_row",
        "_spool",
        "bury",
    )

    def __init__(
        self,
        row: LedgerRow,
        opened: Callable[[], Spool],
        clock: Clock,
        diagnostics: Diagnostics,
        max_bytes: int,
        max_age_s: float,
    ) -> None:
        self._row = row
        self._opened = opened
        self._clock = clock
        self._diagnostics = diagnostics
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._spool: Spool | None = None
        self.bury: Bury | None = None  # takes what became too old, and books it
        self._retry_s: float | None = None
        self._failure = ledger.QUEUE_FULL
        self._lost: dict[str, int] = {}  # records by why they were lost, as far as nothing was said of it

    @property
    def refusal(self) -> str:
        """Why records that found no room are lost: the ledger's word."""
        return ledger.QUEUE_FULL if self._retry_s is None else self._failure

    @property
    def is_sound(self) -> bool:
        """Whether nothing speaks against the disk: the last write went well, or there was none."""
        return self._retry_s is None

    def has_room(self, n_bytes: int) -> bool:
        """Whether a batch of `n_bytes` would probably be taken."""
        if self._retry_s is not None and self._clock.monotonic_s() < self._retry_s:
            return False
        used_bytes = self._spool.used_bytes if self._spool is not None else 0
        return used_bytes + n_bytes + n_bytes // 4 <= self._max_bytes

    def put(self, sealed: Sealed) -> Shelved | None:
        """Write a batch down. None where that cannot be done: it stays what it was."""
        if not self.has_room(sealed.batch.n_bytes + _FRAME_BYTES * len(sealed)):
            return None
        try:
            spool = self._files()
            now_ms = int(self._clock.wall_s() * 1000)
            place = spool.append(self._row.name, sealed, now_ms)
        except OSError as error:
            self._failed(error)
            return None
        self._retry_s = None
        self._row.spool(len(sealed))
        return Shelved(place, range(len(sealed)), now_ms)

    def back(self, sealed: Sealed) -> Shelved:
        """A batch that was taken and still lies there."""
        assert sealed.place is not None
        return Shelved(sealed.place, sealed.places, sealed.since_ms, sealed.first)

    def take(self, shelved: Shelved) -> Sealed | None:
        """Read a batch. What of it is not there any more, or too old, is dropped; None where nothing is left. Who has
        taken what there was to take calls `tell_lost`.

        It goes on lying there until `settle`: whoever takes it may be killed.
        """
        if self._clock.wall_s() * 1000 - shelved.since_ms <= self._max_age_s * 1000:
            return self._read(shelved)
        expired = self._read(shelved) if self.bury is not None else None
        if expired is not None and self.bury is not None:
            self.bury([expired], ledger.SPOOL_EXPIRED, "")
            self.settle(shelved.place, expired.places)
        elif self.bury is None:
            self._lose(shelved, list(shelved.places), ledger.SPOOL_EXPIRED, "they are older than they may become")
        return None

    def _read(self, shelved: Shelved) -> Sealed | None:
        """The same, of whatever age."""
        try:
            batch = self._files().read(shelved.place)
        except OSError as error:
            self._lose(shelved, list(shelved.places), ledger.SPOOL_LOST, error.strerror or str(error))
            return None
        rows = batch.rows if batch is not None else {}
        places = [place for place in shelved.places if place in rows]
        if len(places) < len(shelved.places):
            there = set(places)
            gone = [place for place in shelved.places if place not in there]
            self._lose(shelved, gone, ledger.SPOOL_LOST, "the file does not hold what was written")
        if batch is None or not places:
            return None
        sealed = Sealed.of_rows([rows[place] for place in places], batch.start)
        sealed.first = shelved.first
        sealed.place, sealed.places, sealed.since_ms = shelved.place, places, shelved.since_ms
        sealed.environment = shelved.place.environment
        sealed.unconfirmed = batch.unconfirmed
        return sealed

    def settle(self, place: Place, places: Sequence[int]) -> None:
        """These records of a batch have their outcome."""
        self._row.spool(-len(places))
        try:
            self._files().settle(place, places)
        except OSError as error:
            self._complain("records that have their outcome could not be marked in the spool", error)

    def doubt(self, place: Place) -> None:
        """A batch that lies here was sent, and whether it arrived is not known."""
        try:
            self._files().doubt(place)
        except OSError as error:
            self._complain("a batch could not be marked in the spool", error)

    def restore(self) -> list[Shelved]:
        """What former processes of this environment left for this destination, oldest first."""
        try:
            found = self._files().restore(self._row.name)
        except OSError as error:
            self._complain("the spool could not be read", error)
            return []
        shelved = [Shelved(place, places, since_ms) for place, places, since_ms in found]
        self._row.spool(sum(map(len, shelved)))
        return shelved

    def _files(self) -> Spool:
        if self._spool is None:
            self._spool = self._opened()
        return self._spool

    def _failed(self, error: OSError) -> None:
        self._failure = ledger.DISK_FULL if error.errno in NO_SPACE else ledger.SPOOL_FAILED
        self._retry_s = self._clock.monotonic_s() + RETRY_AFTER_S
        self._complain("records could not be written to the spool; they stay in memory as far as they fit", error)

    def _lose(self, shelved: Shelved, places: Sequence[int], reason: str, why: str) -> None:
        self._row.drop(len(places), reason)
        self.settle(shelved.place, places)
        self._lost[why] = self._lost.get(why, 0) + len(places)

    def tell_lost(self) -> None:
        """Say what was lost since the last time. What lies side by side is mostly lost together, and is one line."""
        lost, self._lost = self._lost, {}
        for why, n in lost.items():
            name = self._row.name
            self._diagnostics("error", "records in the spool are lost", destination=name, records=n, reason=why)

    def _complain(self, message: str, error: OSError) -> None:
        self._diagnostics("warn", message, destination=self._row.name, reason=error.strerror or str(error))
