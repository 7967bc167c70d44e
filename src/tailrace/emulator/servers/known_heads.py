"""Heads of requests that were read before. Runtimes, extensions and clients send the same few again and again, but for
the request line: taking such a request apart once more, header by header, costs more than to answer it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

MAX_HEADS = 256
MAX_HEAD_BYTES = 2048
"""Of one head that is kept."""

_REQUEST_LINE = re.compile(rb"(GET|POST|PUT) (/[!-~]*) HTTP/1\.1")
_END_OF_HEAD = b"\r\n\r\n"
_NEVER_KEPT = frozenset({"connection", "expect", "trailer", "transfer-encoding", "upgrade"})
"""Headers that say how to go on after the head; those are the parser's."""


class Known(NamedTuple):
    headers: Mapping[str, str]
    n_body_bytes: int


class WholeRequest(NamedTuple):
    """A request that came in one piece, and nothing with it. Its `headers` belong to others as well."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class KnownHeads:
    """What the header lines of requests said, by their bytes. The parser reads them first: only what it found right
    is kept, and only bytes that equal them are taken for the same."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, Known] = {}

    def read(self, data: bytes) -> WholeRequest | None:
        """The request that `data` is; None where it is anything but one whole request with a known head."""
        end = data.find(_END_OF_HEAD)
        if end < 0:
            return None
        line_end = data.find(b"\r\n")
        known = self._heads.get(data[line_end:end])
        body_at = end + len(_END_OF_HEAD)
        if known is None or len(data) != body_at + known.n_body_bytes:
            return None
        line = _REQUEST_LINE.fullmatch(data, 0, line_end)
        if line is None:
            return None
        return WholeRequest(line[1].decode("ascii"), line[2].decode("ascii"), known.headers, data[body_at:])

    def learn(self, data: bytes, headers: Mapping[str, str]) -> None:
        """The parser found `data` to be one whole request that keeps its connection, with these headers."""
        end = data.find(_END_OF_HEAD)
        line_end = data.find(b"\r\n")
        if end < 0 or end - line_end > MAX_HEAD_BYTES or not _NEVER_KEPT.isdisjoint(headers):
            return
        n_body_bytes = len(data) - end - len(_END_OF_HEAD)
        if headers.get("content-length", "0") != str(n_body_bytes):
            return
        if len(self._heads) >= MAX_HEADS:
            self._heads.clear()
        self._heads[data[line_end:end]] = Known(headers, n_body_bytes)
