"""The lines of a file that may be compressed, cut off, or no text at all."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from tailrace.errors import TailraceError

CHUNK_BYTES = 256 * 1024
# A line longer than the largest request of any destination is nobody's envelope.
LINE_MAX_BYTES = 256 * 1024 * 1024
_GZIP = b"\x1f\x8b"


class DamagedFileError(TailraceError):
    """The rest of the file cannot be read."""


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """Each line without its break, the last one whether it has one or not. What `gzip` wrote is undone.

    Raises `DamagedFileError` after the lines that could be read.
    """
    rest = b""
    for chunk in _plain(stream):
        *whole, rest = (rest + chunk).split(b"\n") if b"\n" in chunk else (rest + chunk,)
        yield from whole
        if len(rest) > LINE_MAX_BYTES:
            raise DamagedFileError("a line is too long to be an envelope")
    if rest:
        yield rest


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
