"""What the account of a former process means for the next one of the same environment. Pure.

The sum over all processes must hold: each record is received once and has one outcome. Two cases:

* The former process printed its ledger. Its line says that it holds what it left in the spool. The next one receives
  these records as its own, so that its own line is complete, and says with `takenOver` how many they are: whoever
  adds lines up takes that many from `received` and from `held`.
* It was killed, and printed nothing. The next one goes on with its figures. What it had acknowledged and what neither
  has an outcome nor is found in the spool is dropped (`process_killed`).
"""

from __future__ import annotations

from tailrace.pipeline.ledger import PLATFORM_ROW, REFUSED_ROW
from tailrace.pipeline.spooling.carried_row import CarriedRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tailrace.pipeline.spooling.counter_file import Previous


def carried_rows(previous: Previous) -> dict[str, CarriedRow]:
    """What the next process begins with, row by row; nothing where there was no process before it."""
    carried = {name: _carried(row, name, previous) for name, row in previous.rows.items()}
    return {name: row for name, row in carried.items() if row.received or row.resent_unconfirmed}


def _carried(written: Mapping[str, object], name: str, previous: Previous) -> CarriedRow:
    row = CarriedRow()
    if previous.is_closed:
        row.received = row.held = row.taken_over = _count(written, "held")
        # else it left before it had looked for what its own predecessor held: that one may have been killed
        row.is_printed = _count(written, "spooled") >= row.held
        return row
    row.received = _count(written, "received")
    if name not in (REFUSED_ROW, PLATFORM_ROW):  # these count no records that were acknowledged
        row.received = max(row.received, _count(written, "base") + previous.acknowledged)
    row.delivered = _count(written, "delivered")
    row.filtered = _count(written, "filtered")
    row.sampled = _count(written, "sampled")
    row.dead_lettered = _count(written, "deadLettered")
    row.rejected = _counts(written, "rejected")
    row.dropped = _counts(written, "dropped")
    row.resent_unconfirmed = _count(written, "resentUnconfirmed")
    row.truncated = _count(written, "truncated")
    row.taken_over = _count(written, "takenOver")
    settled = row.delivered + row.filtered + row.sampled + row.dead_lettered
    settled += sum(row.rejected.values()) + sum(row.dropped.values())
    row.received = max(row.received, settled)
    row.held = row.received - settled
    return row


def _count(written: Mapping[str, object], name: str) -> int:
    value = written.get(name)
    return value if isinstance(value, int) and value >= 0 else 0


def _counts(written: Mapping[str, object], name: str) -> dict[str, int]:
    value = written.get(name)
    if not isinstance(value, dict):
        return {}
    return {reason: n for reason, n in value.items() if isinstance(n, int) and n > 0}
