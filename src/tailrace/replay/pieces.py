"""The pieces that an envelope may go out in: the whole, its halves, their halves, down to single records.

Nothing else ever goes out. Where the cuts lie depends on the number of records alone, and a cut that was made stays:
a piece that goes out again, in this run or in any later one, has the same bytes and so the same name for the
destination.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple


class Piece(NamedTuple):
    """The records from place `first` up to, without it, `end`; at least one."""

    first: int
    end: int

    @property
    def places(self) -> range:
        return range(self.first, self.end)

    def halves(self) -> list[Piece]:
        middle = self.first + (self.end - self.first) // 2
        return [Piece(self.first, middle), Piece(middle, self.end)]


def next_piece(waiting: list[Piece], settled: Collection[int], is_cut: Callable[[Piece], bool]) -> Piece | None:
    """Take the next piece that is to be dealt with out of `waiting`. Cut pieces are replaced by their halves, those
    whose records are all `settled` are left out."""
    while waiting:
        piece = waiting.pop(0)
        if all(place in settled for place in piece.places):
            continue
        if not is_cut(piece):
            return piece
        waiting[:0] = piece.halves()
    return None
