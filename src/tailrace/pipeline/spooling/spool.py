"""Batches in files: appended, read back, marked, and found again by the next process of the same environment.

A file holds batches of one destination. It is removed as soon as all of them have their outcome, so what lies in
the folder is what is still to be delivered. Names count up (`00000017-6bd1….seg`): their order is the order of time,
whatever the clock does.
"""

from __future__ import annotations

import _thread
import posix
from binascii import crc32

from tailrace.pipeline.spooling.folder import write_all
from tailrace.pipeline.spooling.place import Place, Segment
from tailrace.pipeline.spooling.segment import (
    DOUBTFUL,
    OTHER_VERSION,
    SETTLED,
    STATE_AT,
    Header,
    encode_batch,
    encode_header,
    scan_batch,
    scan_segment,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.model.resource import Resource
    from tailrace.pipeline.interfaces import Diagnostics
    from tailrace.pipeline.sealed import Sealed
    from tailrace.pipeline.spooling.folder import SpoolFolder
    from tailrace.pipeline.spooling.segment import FoundBatch, Scan

# A file that is larger gets no further batch. Small enough to give room back soon, large enough to be few.
SEGMENT_BYTES = 1_048_576
_SUFFIX = ".seg"
_INDEX_DIGITS = 8


class Spool:
    """All destinations' files in one folder, for one process. Methods raise `OSError` and are safe from any thread."""

    __slots__ = (
        "_current",
        "_diagnostics",
        "_folder",
        "_index",
        "_left",
        "_lock",
        "_number",
        "_resource",
        "used_bytes",
    )

    def __init__(self, folder: SpoolFolder, resource: Resource, diagnostics: Diagnostics) -> None:
        self._folder = folder
        self._resource = resource
        self._diagnostics = diagnostics
        self._lock = _thread.allocate_lock()
        self._current: dict[str, Segment] = {}
        self._number = 0
        self._index = 0
        self.used_bytes = 0
        self._left = folder.names()  # by former processes: nothing is written before this
        for name in self._left:
            self._index = max(self._index, _index_of(name))
            if _SUFFIX in name:
                self.used_bytes += folder.size(name)

    def append(self, destination: str, sealed: Sealed, now_ms: int) -> Place:
        """Write a batch down."""
        with self._lock:
            segment = self._segment_for(destination, now_ms)
            self._number += 1
            offset, salt = segment.size, segment.header.salt
            frames, where = encode_batch(
                self._number, sealed.rows(), sealed.batch.start, sealed.unconfirmed, salt, offset
            )
            self._write(segment, frames)
            segment.n_live += 1
            place = Place(segment, offset, segment.size, dict(enumerate(where)), len(where))
            if segment.size >= SEGMENT_BYTES:
                self._leave(destination)
            return place

    def read(self, place: Place) -> FoundBatch | None:
        """A batch as it lies there now; None where no frame of it is sound."""
        data = self._folder.read_part(place.segment.name, place.offset, place.end)
        batches = scan_batch(data, place.segment.header.salt, place.offset).batches
        return batches[0] if batches else None

    def settle(self, place: Place, places: Sequence[int]) -> None:
        """Records of a batch, by their places in it, have their outcome. With the last of a file's records it goes."""
        with self._lock:
            segment = place.segment
            place.n_live -= len(places)
            segment.n_live -= not place.n_live
            if not segment.n_live:
                self._remove(segment)
            elif not place.n_live and place.begins:
                self._folder.mark(segment.name, [place.offset + STATE_AT], SETTLED)
            else:
                self._folder.mark(segment.name, [place.where[one] + STATE_AT for one in places], SETTLED)

    def doubt(self, place: Place) -> None:
        """A batch was sent, and whether it arrived is not known."""
        if place.begins:
            with self._lock:
                self._folder.mark(place.segment.name, [place.offset + STATE_AT], DOUBTFUL)

    def restore(self, destination: str) -> list[tuple[Place, list[int], int]]:
        """Every batch that former processes left for a destination, oldest first, as (where, which records of it, since
        when in milliseconds since 1970). To be asked once. What this process has appended by then is not among them:
        whoever did that knows of it.

        What a process had in memory at its end was written last and may be the oldest of what it left: of one
        process, the records' numbers say what came first.
        """
        with self._lock:
            by_process: dict[str, list[tuple[int, Place, list[int], int]]] = {}
            for name in self._left:
                if name.endswith(_ending(destination)):
                    for one in self._found_in(name, destination):
                        by_process.setdefault(one[1].environment, []).append(one)
            return [one[1:] for found in by_process.values() for one in sorted(found, key=lambda one: one[0])]

    def close(self) -> None:
        """Give the descriptors back; what was written stays."""
        with self._lock:
            for destination in list(self._current):
                self._leave(destination)

    def _found_in(self, name: str, destination: str) -> list[tuple[int, Place, list[int], int]]:
        """As `restore`, with the first number of each before it."""
        try:
            data = self._folder.read(name)
            scan = scan_segment(data)
            if scan.header is None:
                self._set_aside(name, scan)
                return []
        except OSError as error:
            self._complain(name, error.strerror or str(error))
            return []
        if scan.header.destination != destination:
            return []
        if scan.torn_bytes:
            self._complain(name, f"{scan.torn_bytes} bytes of it are torn")
        segment = Segment(name, scan.header, len(data))
        live = [batch for batch in scan.batches if batch.rows]
        segment.n_live = len(live)
        if not live:
            self._remove(segment)
        return [
            (
                min(seq for seq, _, _ in batch.rows.values()),
                Place(segment, batch.offset, batch.end, batch.where, len(batch.rows), batch.count is not None),
                sorted(batch.rows),
                scan.header.created_ms,
            )
            for batch in live
        ]

    def _set_aside(self, name: str, scan: Scan) -> None:
        """What another version of us wrote is kept for whoever can read it, and what is damaged for who wants to see
        it. What they held is missing from the count, which is how it gets its outcome."""
        self._folder.set_aside(name, "version" if scan.problem == OTHER_VERSION else "damaged")
        why = "another version wrote it" if scan.problem == OTHER_VERSION else "it is damaged from its beginning on"
        self._complain(name, why)

    def _segment_for(self, destination: str, now_ms: int) -> Segment:
        segment = self._current.get(destination)
        if segment is not None:
            return segment
        self._index += 1
        name = f"{self._index:0{_INDEX_DIGITS}}{_ending(destination)}"
        salt = int.from_bytes(posix.urandom(4), "big")
        segment = Segment(name, Header(destination, self._resource.environment_id, now_ms, salt), 0)
        segment.fd = self._folder.create(name)
        self._current[destination] = segment
        self._write(segment, encode_header(segment.header))
        return segment

    def _write(self, segment: Segment, data: bytes) -> None:
        """Append, or leave the file as it was."""
        assert segment.fd is not None
        try:
            write_all(segment.fd, data, segment.size)
        except BaseException:
            self._take_back(segment)
            raise
        segment.size += len(data)
        self.used_bytes += len(data)

    def _take_back(self, segment: Segment) -> None:
        """Cut off what was half written, and append nothing to this file again."""
        destination = segment.header.destination
        try:
            assert segment.fd is not None
            posix.ftruncate(segment.fd, segment.size)
        except OSError as error:
            self._complain(segment.name, error.strerror or str(error))
        self._leave(destination)
        if not segment.n_live:
            self._remove(segment)

    def _leave(self, destination: str) -> None:
        segment = self._current.pop(destination, None)
        if segment is not None and segment.fd is not None:
            posix.close(segment.fd)
            segment.fd = None

    def _remove(self, segment: Segment) -> None:
        if self._current.get(segment.header.destination) is segment:
            self._leave(segment.header.destination)
        self.used_bytes = max(0, self.used_bytes - segment.size)
        self._folder.remove(segment.name)

    def _complain(self, name: str, why: str) -> None:
        self._diagnostics("warn", "a file of the spool is not as it was written", file=name, reason=why)


def _ending(destination: str) -> str:
    return f"-{crc32(destination.encode('utf-8', 'surrogatepass')):08x}{_SUFFIX}"


def _index_of(name: str) -> int:
    digits = name[:_INDEX_DIGITS]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
