"""Random identifiers, drawn by the hundred: an invocation needs five, and each would be a call of the kernel's."""

from __future__ import annotations

import os
from collections.abc import Callable

_POOL_BYTES = 4096
_PIECE_DIGITS = 16


class RandomIds:
    """Hexadecimal digits from the kernel's source of randomness, a pool at a time. For use by several threads: each
    piece is taken by one step."""

    __slots__ = ("_pieces", "_random")

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self._random = random
        self._pieces: list[str] = []

    def digits(self, count: int) -> str:
        """So many."""
        found = self._piece()
        while len(found) < count:
            found += self._piece()
        return found[:count]

    def uuid(self) -> str:
        """A UUID of version 4 (RFC 9562)."""
        a, b = self._piece(), self._piece()
        return f"{a[:8]}-{a[8:12]}-4{a[13:]}-{'89ab'[int(b[0], 16) & 3]}{b[1:4]}-{b[4:]}"

    def _piece(self) -> str:
        try:
            return self._pieces.pop()
        except IndexError:
            digits = self._random(_POOL_BYTES).hex()
            pieces = [digits[at : at + _PIECE_DIGITS] for at in range(0, len(digits), _PIECE_DIGITS)]
            last = pieces.pop()
            self._pieces.extend(pieces)
            return last


IDS = RandomIds()
"""For everybody in this process."""
