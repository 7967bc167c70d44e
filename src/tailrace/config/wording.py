"""Words for messages about settings: places in a list, and the known word that somebody probably meant."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FIRST_TEN = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def ordinal(index: int) -> str:
    """The place of the item at `index` (from 0): ``first`` to ``tenth``, then ``11th``, ``21st`` and so on."""
    if index < len(_FIRST_TEN):
        return _FIRST_TEN[index]
    number = index + 1
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def closest(word: str, known: Iterable[str], limit: int = 2) -> str | None:
    """The known word that differs from `word` in the fewest typing slips, at most `limit`, or None.

    A word as short as the limit itself never counts as close: two slips turn anything into anything.
    """
    best: str | None = None
    fewest = limit + 1
    for candidate in known:
        slips = _slips(word.lower(), candidate.lower(), fewest)
        if slips < fewest and slips < len(candidate) - 1:
            best, fewest = candidate, slips
    return best


def suggestion(word: str, known: Iterable[str], limit: int = 2) -> str:
    """`` (did you mean "file"?)`` where a known word is close, else nothing."""
    meant = closest(word, known, limit)
    return f' (did you mean "{meant}"?)' if meant else ""


def _slips(a: str, b: str, enough: int) -> int:
    """How many letters were left out, added, changed or swapped with their neighbour, up to `enough`."""
    if abs(len(a) - len(b)) >= enough:
        return enough
    before_last: list[int] = []
    last = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        before_last, last = last, row
    return last[-1]
