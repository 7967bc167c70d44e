"""Finding the agent's ledger: the JSON object that it prints last."""

from __future__ import annotations

import json
from collections.abc import Mapping

LEDGER_TYPE = "tailrace.ledger"
AGES = "ageMs"


class LedgerWatch:
    """Adds up the last ledger lines of every generation of an extension's process, which each count from zero."""

    def __init__(self) -> None:
        self._past: dict[str, Mapping[str, object]] = {}
        self._present: dict[str, Mapping[str, object]] = {}
        self._latest = ""

    def process_started(self, process: str) -> None:
        """A new generation: what the one before it said last is final."""
        last = self._present.pop(process, None)
        if last is not None:
            self._past[process] = _sum(self._past.get(process, {}), last)

    def line_written(self, process: str, text: str) -> None:
        ledger = parse_ledger(text)
        if ledger is not None:
            self._present[process] = ledger
            self._latest = process

    @property
    def total(self) -> Mapping[str, object] | None:
        """The sum over all generations that left a line, in the form of one.

        None where no extension printed one, or the last generation of the one that did has not, because it was
        killed before it could. Of several extensions with a ledger the one that printed last counts.
        """
        present = self._present.get(self._latest)
        return None if present is None else _sum(self._past.get(self._latest, {}), present)


def _sum(left: Mapping[str, object], right: Mapping[str, object]) -> dict[str, object]:
    """Counts added up, member by member and at every depth; of anything else the later one."""
    total = {**left, **right}
    for name in left.keys() & right.keys():
        ours, theirs = left[name], right[name]
        if isinstance(ours, dict) and isinstance(theirs, dict):
            total[name] = _larger(ours, theirs) if name == AGES else _sum(ours, theirs)
        elif isinstance(ours, int | float) and isinstance(theirs, int | float):
            total[name] = ours + theirs
    return _without_twice_counted(total)


def _larger(left: Mapping[str, object], right: Mapping[str, object]) -> dict[str, object]:
    """Ages do not add up."""
    larger = {**left, **right}
    for name, ours in left.items():
        theirs = right.get(name)
        if isinstance(ours, int) and isinstance(theirs, int):
            larger[name] = max(ours, theirs)
    return larger


def _without_twice_counted(row: dict[str, object]) -> dict[str, object]:
    """A row in which one process took over what another one held and said so: `takenOver` is in the `held` of the
    former's line and in the `received` of the latter's."""
    n = row.pop("takenOver", 0)
    if isinstance(n, int):
        for name in ("received", "held", "spooled"):
            value = row.get(name)
            if isinstance(value, int):
                row[name] = max(0, value - n)
    return row


def parse_ledger(text: str) -> dict[str, object] | None:
    """The decoded line if it is a ledger, else None."""
    if LEDGER_TYPE not in text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value.get("type") == LEDGER_TYPE else None
