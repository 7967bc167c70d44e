"""The format of the spool's files. Pure: bytes in and out, and nothing that is read is believed without its checksum.

A segment holds records of one destination. It is only ever appended to, but for one byte a frame that says whether
what it carries is still to be delivered: that takes no room on a full disk, and no crash can leave half of it.

::

    segment  = prologue header frame*
    prologue = "TRSP" version:u16
    header   = length:u32 crc32:u32 JSON     destination, environment, createdMs, salt
    frame    = F5 52 kind:u8 state:u8 length:u32 crc32:u32 payload
    payload  = batch:u32 count:u32 flags:u8 start                       kind "B": a batch begins
             | batch:u32 place:u32 seq:u64 length:u8 time data          kind "R": one of its records

Numbers are big-endian. A frame's checksum covers kind, payload and the place in the file, and begins with the segment's
salt: neither a frame that was moved nor one that somebody logged passes for one of ours. The state is outside of
it: the values differ from each other in four bits at least, so no single fault makes one of another, and what is none
of them is live. `DOUBTFUL` is a batch that was sent and not answered; `SETTLED` is one that has its outcome.
"""

from __future__ import annotations

from binascii import crc32

from tailrace.protocol.jsontext import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
LIVE = 0x5A
DOUBTFUL = 0x3C
SETTLED = 0xA5

_SIGNATURE = b"TRSP"
_PROLOGUE_BYTES = len(_SIGNATURE) + 2
_MARK = b"\xf5R"
HEAD_BYTES = 12
STATE_AT = 3  # where in a frame the state stands
_BATCH = 0x42
_RECORD = 0x52
_BATCH_PAYLOAD = 9
_RECORD_PAYLOAD = 17
_UNCONFIRMED = 1
_MAX_TIME_BYTES = 255
_MAX_HEADER_BYTES = 65_536

# Row: sequence number, time as it came, encoded record.
Row = tuple[int, str, bytes]


class Header:
    """Who wrote a segment: `destination` is the name of its row in the ledger, `environment` stands in the identity of
    its batches, `salt` is a number of 32 random bits."""

    __slots__ = ("created_ms", "destination", "environment", "salt")

    def __init__(self, destination: str, environment: str, created_ms: int, salt: int) -> None:
        self.destination = destination
        self.environment = environment
        self.created_ms = created_ms
        self.salt = salt


class FoundBatch:
    """A batch as it was found. `offset` and `end` bound its frames, `rows` are its records that are not settled, by
    their places in the batch as it was written; `where` says where each record's frame begins, settled or not.
    `count` is how many records there were, or None where the frame that says so is gone."""

    __slots__ = ("count", "end", "number", "offset", "rows", "start", "unconfirmed", "where")

    def __init__(self, number: int, offset: int) -> None:
        self.number = number
        self.offset = self.end = offset
        self.count: int | None = None
        self.start = ""
        self.unconfirmed = False
        self.rows: dict[int, Row] = {}
        self.where: dict[int, int] = {}

    @property
    def missing(self) -> int:
        """Records that were written and are not there any more, as far as anybody can tell."""
        return 0 if self.count is None else self.count - len(self.where)


class Scan:
    """What some bytes hold. `torn_bytes` are those that belong to no whole frame; `problem` is a word, or empty where
    everything was as it was written."""

    __slots__ = ("batches", "header", "problem", "torn_bytes")

    def __init__(self) -> None:
        self.header: Header | None = None
        self.batches: list[FoundBatch] = []
        self.torn_bytes = 0
        self.problem = ""


# Why a segment cannot be read.
OTHER_VERSION = "other_version"
NOT_A_SEGMENT = "not_a_segment"
TORN = "torn"


def encode_header(header: Header) -> bytes:
    """The beginning of a segment."""
    text = dumps(
        {
            "destination": header.destination,
            "environment": header.environment,
            "createdMs": header.created_ms,
            "salt": header.salt,
        }
    ).encode("ascii", "replace")
    return _SIGNATURE + VERSION.to_bytes(2, "big") + _u32(len(text)) + _u32(crc32(text)) + text


def encode_batch(
    number: int, rows: Iterable[Row], start: str, unconfirmed: bool, salt: int, offset: int
) -> tuple[bytes, list[int]]:
    """The frames of a batch that will stand at `offset` of the file, and where the frame of each record begins."""
    rows = list(rows)
    flags = _UNCONFIRMED if unconfirmed else 0
    begin = _u32(number) + _u32(len(rows)) + bytes((flags,)) + start.encode("utf-8", "replace")
    frames = [_frame(_BATCH, begin, salt, offset)]
    where = []
    at = offset + len(frames[0])
    for place, (seq, time, data) in enumerate(rows):
        stamp = time.encode("utf-8", "replace")
        stamp = stamp if len(stamp) <= _MAX_TIME_BYTES else b""
        head = _u32(number) + _u32(place) + seq.to_bytes(8, "big") + bytes((len(stamp),))
        frames.append(_frame(_RECORD, head + stamp + data, salt, at))
        where.append(at)
        at += len(frames[-1])
    return b"".join(frames), where


def scan_segment(data: bytes) -> Scan:
    """A whole file. Never raises. Without a usable header there are no batches."""
    scan = Scan()
    scan.header, begin, scan.problem = _read_header(data)
    if scan.header is None:
        scan.torn_bytes = len(data)
        return scan
    return _scan_frames(scan, data, begin, scan.header.salt, 0)


def scan_batch(data: bytes, salt: int, offset: int) -> Scan:
    """Part of a file that begins at `offset`, between two frames. Never raises."""
    return _scan_frames(Scan(), data, 0, salt, offset)


def _read_header(data: bytes) -> tuple[Header | None, int, str]:
    """The header, where the frames begin, and what is wrong."""
    begin = _PROLOGUE_BYTES + 8
    if len(data) < begin or not data.startswith(_SIGNATURE):
        return None, 0, NOT_A_SEGMENT
    if int.from_bytes(data[4:6], "big") != VERSION:
        return None, 0, OTHER_VERSION
    length, checksum = _number(data, _PROLOGUE_BYTES, 4), _number(data, _PROLOGUE_BYTES + 4, 4)
    text = data[begin : begin + length]
    if length > _MAX_HEADER_BYTES or len(text) < length or crc32(text) != checksum:
        return None, 0, TORN
    header = _header_of(text)
    return (header, begin + length, "") if header is not None else (None, 0, TORN)


def _header_of(text: bytes) -> Header | None:
    try:
        members = loads(text.decode("ascii", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict):
        return None
    destination, environment = members.get("destination"), members.get("environment")
    created_ms, salt = members.get("createdMs"), members.get("salt")
    if not (isinstance(destination, str) and isinstance(environment, str)):
        return None
    if not (isinstance(created_ms, int) and isinstance(salt, int) and 0 <= salt < 1 << 32):
        return None
    return Header(destination, environment, created_ms, salt)


def _scan_frames(scan: Scan, data: bytes, at: int, salt: int, offset: int) -> Scan:
    batches: dict[int, FoundBatch] = {}
    while at < len(data):
        end = _frame_end(data, at, salt, offset)
        if end is not None and _take_frame(batches, data, at, end, offset):
            at = end
            continue
        beyond = data.find(_MARK, at + 1)
        beyond = len(data) if beyond < 0 else beyond
        scan.torn_bytes += beyond - at
        scan.problem = TORN
        at = beyond
    scan.batches = list(batches.values())
    return scan


def _frame_end(data: bytes, at: int, salt: int, offset: int) -> int | None:
    """Where the frame at `at` ends; None where none stands there."""
    begin = at + HEAD_BYTES
    if begin > len(data) or data[at : at + 2] != _MARK:
        return None
    length = _number(data, at + 4, 4)
    end = begin + length
    if end > len(data) or _checksum(data[at + 2], data[begin:end], salt, offset + at) != _number(data, at + 8, 4):
        return None
    return end


def _take_frame(batches: dict[int, FoundBatch], data: bytes, at: int, end: int, offset: int) -> bool:
    """Put down what a frame says. False where it is sound and yet says nothing: nobody writes such a one."""
    kind, is_settled, begin = data[at + 2], data[at + STATE_AT] == SETTLED, at + HEAD_BYTES
    if end - begin < (_BATCH_PAYLOAD if kind == _BATCH else _RECORD_PAYLOAD):
        return False
    number = _number(data, begin, 4)
    batch = batches.get(number)
    if batch is None:
        batch = batches[number] = FoundBatch(number, offset + at)
    batch.end = offset + end
    if kind == _BATCH:
        batch.count = 0 if is_settled else _number(data, begin + 4, 4)
        batch.unconfirmed = bool(data[begin + 8] & _UNCONFIRMED) or data[at + STATE_AT] == DOUBTFUL
        batch.start = data[begin + 9 : end].decode("utf-8", "replace")
        return True
    place, seq, time_end = _number(data, begin + 4, 4), _number(data, begin + 8, 8), begin + 17 + data[begin + 16]
    if kind != _RECORD or time_end > end:
        return False
    if batch.count == 0:  # all of it is settled
        return True
    batch.where[place] = offset + at
    if not is_settled:
        batch.rows[place] = (seq, data[begin + 17 : time_end].decode("utf-8", "replace"), data[time_end:end])
    return True


def _frame(kind: int, payload: bytes, salt: int, offset: int) -> bytes:
    checksum = _checksum(kind, payload, salt, offset)
    return _MARK + bytes((kind, LIVE)) + _u32(len(payload)) + _u32(checksum) + payload


def _checksum(kind: int, payload: bytes, salt: int, offset: int) -> int:
    return crc32(payload, crc32(bytes((kind,)) + offset.to_bytes(8, "big") + len(payload).to_bytes(8, "big"), salt))


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _number(data: bytes, at: int, n_bytes: int) -> int:
    return int.from_bytes(data[at : at + n_bytes], "big")
