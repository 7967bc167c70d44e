"""A sealed batch: what one request carries. Sealed once, sent as often as needed, always the same bytes."""

from __future__ import annotations


class Batch:
    """An immutable group of encoded records for one destination.

    `parts` are the records' encoded bytes in order of arrival; `first_seq` and `last_seq` their sequence
    numbers; `start` the time of the first record (RFC 3339, milliseconds); `hour` its first 13 characters
    (``2026-11-20T21``), the partition that all records of the batch share where the destination asks for it.
    """

    __slots__ = ("first_seq", "hour", "last_seq", "n_bytes", "parts", "start")

    def __init__(self, parts: list[bytes], first_seq: int, last_seq: int, start: str) -> None:
        self.parts = parts
        self.first_seq = first_seq
        self.last_seq = last_seq
        self.start = start
        self.hour = start[:13]
        self.n_bytes = sum(map(len, parts))

    def __len__(self) -> int:
        return len(self.parts)
