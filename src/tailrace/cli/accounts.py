"""The summary of what was delivered: the agent's ledger, and what each subscriber got from the environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.text import Text

from tailrace.emulator.telemetry.log import TelemetryCounts

COLUMNS = ("received", "delivered", "held", "filtered", "rejected", "dropped", "deadLettered", "resentUnconfirmed")
ALWAYS_SHOWN = ("received", "delivered", "held", "dropped")
HEADINGS = {"deadLettered": "dead letter", "resentUnconfirmed": "sent again"}
ALARMING = ("rejected", "dropped", "deadLettered", "held")


def ledger_rows(ledger: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """The rows of a ledger line by destination."""
    return {name: row for name, row in ledger.items() if isinstance(row, dict)}


def dropped_total(row: Mapping[str, object]) -> int:
    """How many records of a row were dropped, whatever the reason."""
    dropped = row.get("dropped")
    return sum(dropped.values()) if isinstance(dropped, dict) else 0


def ledger_table(ledger: Mapping[str, object]) -> Iterator[Text]:
    """One line a destination under a heading; columns that are zero everywhere are left out."""
    rows = ledger_rows(ledger)
    columns = [c for c in COLUMNS if c in ALWAYS_SHOWN or any(_count(row, c) for row in rows.values())]
    width = max([len("destination"), *map(len, rows)])
    heading = "".join(f"{HEADINGS.get(c, c):>12}" for c in columns)
    yield Text(f"    {'destination':{width}}{heading}", style="dim")
    for name, row in rows.items():
        line = Text(f"    {name:{width}}")
        for column in columns:
            count = _count(row, column)
            line.append(f"{count:>12}", style="red" if count and column in ALARMING else "")
        yield line
    yield from _reasons(rows)


def _count(row: Mapping[str, object], column: str) -> int:
    if column == "dropped":
        return dropped_total(row)
    value = row.get(column, 0)
    return value if isinstance(value, int) else 0


def _reasons(rows: Mapping[str, Mapping[str, object]]) -> Iterator[Text]:
    for name, row in rows.items():
        dropped = row.get("dropped")
        if isinstance(dropped, dict) and dropped:
            why = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
            yield Text(f"    dropped by {name}: {why}", style="red")


def subscriber_lines(counts: TelemetryCounts) -> Iterator[str]:
    """One line a subscriber: how many events it was given, how many of them it acknowledged."""
    unsubscribed = counts.given[None]
    for subscriber, count in counts.given.items():
        if subscriber is not None:
            yield f"{subscriber}: {count} telemetry events, {counts.acknowledged[subscriber]} acknowledged"
    if unsubscribed:
        yield f"nobody subscribed to {unsubscribed} telemetry events"
