"""The lines of a file that may be compressed, cut off, or no text at all."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tailrace.errors import TailraceError
from tailrace.processors import stitch
from tailrace.receivers.telemetry import MAX_BODY_BYTES

CHUNK_BYTES = 256 * 1024
# The longest record is what fits into one post of telemetry behind what was held of a cut one; a batch of several is
# shorter. A byte of it takes six where JSON is written in ASCII (a control character, or one that is no UTF-8), and
# the ids of its requests may be all that is in it, and stand there once more.
RECORD_MAX_BYTES = MAX_BODY_BYTES + stitch.MAX_BYTES
ENVELOPE_MAX_BYTES = 2 * 6 * RECORD_MAX_BYTES
# What does not begin like one of ours is not worth as much memory.
OTHER_MAX_BYTES = 2 * RECORD_MAX_BYTES
HEAD_BYTES = 256
_GZIP = b"\x1f\x8b"


class DamagedFileError(TailraceError):
    """The rest of the file cannot be read."""


@dataclass(frozen=True)
class LongLine:
    """A line that is longer than any envelope, which was not kept: how it begins, and how long it may have been."""

    head: bytes
    max_bytes: int


@dataclass(frozen=True)
class LineLimits:
    """The most bytes of a line that has `mark` in its first bytes, and of any other."""

    mark: bytes
    marked_bytes: int = ENVELOPE_MAX_BYTES
    other_bytes: int = OTHER_MAX_BYTES


def lines_of(stream: BinaryIO, limits: LineLimits) -> Iterator[bytes | LongLine]:
    """Each line without its break, the last one whether it has one or not. What `gzip` wrote is undone. A line that is
    too long comes as soon as that is known.

    Raises `DamagedFileError` after the lines that could be read.
    """
    line = _Line(limits)
    for chunk in _plain(stream):
        first, *others = chunk.split(b"\n")
        if line.add(first):
            yield line.too_long()
        for other in others:
            if not line.is_told:
                yield line.whole()
            line = _Line(limits)
            if line.add(other):
                yield line.too_long()
    if line.n_bytes and not line.is_told:
        yield line.whole()


class _Line:
    """The pieces of a line, until it is whole or too long. Then nothing of it is kept."""

    def __init__(self, limits: LineLimits) -> None:
        self.n_bytes = 0
        self.is_told = False
        self._limits = limits
        self._pieces: list[bytes] = []
        self._head = b""

    def add(self, piece: bytes) -> bool:
        """Whether it has become too long by that."""
        if self.is_told:
            return False
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
        self._pieces.append(piece)
        self.n_bytes += len(piece)
        return self.n_bytes > self._max_bytes

    @property
    def _max_bytes(self) -> int:
        return self._limits.marked_bytes if self._limits.mark in self._head else self._limits.other_bytes

    def whole(self) -> bytes:
        return b"".join(self._pieces)

    def too_long(self) -> LongLine:
        self.is_told = True
        self._pieces.clear()
        return LongLine(self._head, self._max_bytes)


def _plain(stream: BinaryIO) -> Iterator[bytes]:
    first = stream.read(CHUNK_BYTES)
    if first.startswith(_GZIP):
        yield from _inflated(first, stream)
        return
    while first:
        yield first
        first = stream.read(CHUNK_BYTES)


def _inflated(data: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """Files that gzip wrote may be joined end to end."""
    try:
        while data:
            decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
            while not decoder.eof:
                yield decoder.decompress(data, CHUNK_BYTES)
                data = decoder.unconsumed_tail or (b"" if decoder.eof else stream.read(CHUNK_BYTES))
                if not data and not decoder.eof:
                    yield decoder.flush()
                    if not decoder.eof:
                        raise DamagedFileError("the compressed file ends too early")
            data = decoder.unused_data or stream.read(CHUNK_BYTES)
    except zlib.error:
        raise DamagedFileError("the compressed file is damaged") from None
