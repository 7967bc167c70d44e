"""How old lines are when they arrive: from the time that stands in the record to the destination's answer. Pure.

Cheap on purpose: a batch remembers one time for all neighbours of the same hundredth of a second, and ages are counted
in classes whose bounds are at most a quarter apart, so a quantile is too high by a quarter at most, never too low.
"""

from __future__ import annotations

_SAME_CLASS_BITS = 2


class Ages:
    """A histogram of ages in milliseconds."""

    __slots__ = ("_counts", "max_ms", "n")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.n = 0
        self.max_ms = 0

    def add(self, age_ms: int, n: int) -> None:
        """`n` lines arrived at this age. A clock that went back makes them new, not younger than that."""
        age_ms = max(0, age_ms)
        bound = _upper_bound(age_ms)
        self._counts[bound] = self._counts.get(bound, 0) + n
        self.n += n
        self.max_ms = max(self.max_ms, age_ms)

    def copy(self) -> Ages:
        twin = Ages()
        twin._counts = dict(self._counts)
        twin.n = self.n
        twin.max_ms = self.max_ms
        return twin

    def quantile_ms(self, share: float) -> int:
        """An age that at least this share of the lines did not exceed; 0 where there are none."""
        missing = share * self.n
        for bound in sorted(self._counts):
            missing -= self._counts[bound]
            if missing <= 0:
                return min(bound, self.max_ms)
        return self.max_ms

    def to_object(self) -> dict[str, object]:
        """As it stands in the ledger's line."""
        return {"p50": self.quantile_ms(0.5), "p95": self.quantile_ms(0.95), "max": self.max_ms}


def _upper_bound(age_ms: int) -> int:
    """The largest age of the class of `age_ms`: its first three binary digits count."""
    shift = max(0, age_ms.bit_length() - 1 - _SAME_CLASS_BITS)
    return age_ms | ((1 << shift) - 1)
