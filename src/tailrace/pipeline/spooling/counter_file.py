"""A small file that says what this process has acknowledged and what became of it, for the next one.

A process that is killed prints no ledger. What it had acknowledged and not yet brought to an end is gone, and all that
is left of it is this file: it is advanced before each acknowledgement, so the next process of the same environment
can count what is missing.

The beginning of the file holds the number of acknowledged records: a write of a few bytes for each telemetry post. The
ledger's rows follow, written alternately to two places: while one is being written the other one is whole.
Written with plain writes of a page or so: that costs the same as a mapping, needs no further module, and reports a full
disk as an error where a mapping would end the process.
"""

from __future__ import annotations

import posix

from tailrace.pipeline.spooling.folder import NO_SPACE
from tailrace.protocol.jsontext import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_COUNT_BYTES = 64
_PLACES = (4096, 4096 + 65_536)
_PLACE_BYTES = 65_536

_PAGE_BYTES = 4096


class Previous:
    """What the process before this one wrote. `rows` are its ledger's rows by name; `is_closed` is true where it has
    printed them as its last line."""

    __slots__ = ("acknowledged", "is_closed", "process", "rows", "turn")

    def __init__(self) -> None:
        self.process = 0
        self.turn = 0
        self.acknowledged = 0
        self.is_closed = False
        self.rows: dict[str, dict[str, object]] = {}


class CounterFile:
    """Writes to `fd`, which it owns. Methods raise `OSError` (a full disk); the caller keeps them from overlapping."""

    __slots__ = ("_fd", "_process", "_turn")

    def __init__(self, fd: int, previous: Previous) -> None:
        self._fd = fd
        self._process = previous.process + 1
        self._turn = previous.turn

    def acknowledge(self, total: int) -> None:
        """`total` records were acknowledged, or are about to be."""
        text = f"{self._process} {total} {self._process}\n".encode("ascii")
        posix.pwrite(self._fd, text.ljust(_COUNT_BYTES), 0)

    def write_rows(self, rows: Mapping[str, dict[str, object]], is_closed: bool = False) -> bool:
        """What the ledger says now. False where there is no room for all: shortened it is written all the same."""
        turn = self._turn + 1
        framed = self._framed(turn, rows, is_closed)
        is_whole = len(framed) <= _PLACE_BYTES
        if not is_whole:
            from tailrace.pipeline.spooling.shortened_rows import shortened

            framed = shortened(rows, lambda fewer: self._framed(turn, fewer, is_closed), _PLACE_BYTES)
        if posix.pwrite(self._fd, framed, _PLACES[turn % 2]) < len(framed):
            raise OSError(NO_SPACE[0], "No space left on device")  # the same place comes next: the other one is whole
        self._turn = turn
        return is_whole

    def _framed(self, turn: int, rows: Mapping[str, dict[str, object]], is_closed: bool) -> bytes:
        text = dumps({"turn": turn, "process": self._process, "closed": is_closed, "rows": dict(rows)})
        return f"{len(text)} {turn}\n{text}\n{turn}\n".encode("ascii", "replace")


def reserve(fd: int) -> None:
    """Take the room for all of the file now: a disk that is full later must not keep a process from saying that it has
    printed its figures, or the next one would count them again. Raises `OSError` where there is no room, and none of
    an earlier process."""
    try:
        posix.posix_fallocate(fd, 0, _PLACES[1] + _PLACE_BYTES)
    except OSError as error:
        # anything else: this kind of storage cannot promise it
        if error.errno in NO_SPACE and not _has_room(fd):
            raise


def _has_room(fd: int) -> bool:
    """Whether what is written first can be: the file has had that much from before. What is there stays there."""
    try:
        return all(
            posix.pwrite(fd, posix.pread(fd, _PAGE_BYTES, place).ljust(_PAGE_BYTES, b"\0"), place) == _PAGE_BYTES
            for place in (0, *_PLACES)
        )
    except OSError:
        return False


def read_counters(fd: int) -> Previous:
    """What stands in the file; all zero where nothing does. Raises `OSError` only."""
    previous = Previous()
    for place in _PLACES:
        said = _rows_in(posix.pread(fd, _PLACE_BYTES, place))
        turn = said.get("turn") if said else None
        if said and isinstance(turn, int) and turn > previous.turn:
            _take(previous, said, turn)
    words = posix.pread(fd, _COUNT_BYTES, 0).split()
    is_number = len(words) == 3 and all(word.isdigit() and len(word) < 19 for word in words)
    # a new process begins with its rows: until its first acknowledgement this number is its predecessor's
    if is_number and words[0] == words[2] and int(words[0]) == previous.process:
        previous.acknowledged = int(words[1])
    return previous


def _rows_in(data: bytes) -> dict[str, object] | None:
    head, _, rest = data.partition(b"\n")
    words = head.split()
    if len(words) != 2 or not (words[0].isdigit() and len(words[0]) < 9):
        return None
    length = int(words[0])
    if rest[length : length + 2 + len(words[1])] != b"\n" + words[1] + b"\n":
        return None
    try:
        said = loads(rest[:length].decode("ascii", "replace"))
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _take(previous: Previous, said: dict[str, object], turn: int) -> None:
    process, rows = said.get("process"), said.get("rows")
    previous.turn = turn
    previous.process = process if isinstance(process, int) else 0
    previous.is_closed = said.get("closed") is True
    previous.rows = {}
    if isinstance(rows, dict):
        previous.rows = {str(name): row for name, row in rows.items() if isinstance(row, dict)}
