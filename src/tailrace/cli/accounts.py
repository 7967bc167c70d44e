"""The summary of what was delivered: the agent's ledger, and what each subscriber got from the environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.text import Text

from tailrace.cli.figures import duration
from tailrace.emulator.telemetry.log import TelemetryCounts

COLUMNS = ("received", "delivered", "held", "filtered", "rejected", "dropped", "deadLettered", "resentUnconfirmed")
ALWAYS_SHOWN = ("received", "delivered", "held", "dropped")
HEADINGS = {"deadLettered": "dead letter", "resentUnconfirmed": "sent again"}
# What stands in the ledger beside the destinations.
NOT_DESTINATIONS = ("refused", "platform")
AGES = {"usual age": "p50", "oldest": "max"}
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
    rows = {name: row for name, row in ledger_rows(ledger).items() if name not in NOT_DESTINATIONS}
    columns = [c for c in COLUMNS if c in ALWAYS_SHOWN or any(_count(row, c) for row in rows.values())]
    has_ages = any("ageMs" in row for row in rows.values())
    width = max([len("destination"), *map(len, rows)])
    heading = "".join(f"{title:>12}" for title in [HEADINGS.get(c, c) for c in columns] + list(AGES) * has_ages)
    yield Text(f"    {'destination':{width}}{heading}", style="dim")
    for name, row in rows.items():
        line = Text(f"    {name:{width}}")
        for column in columns:
            count = _count(row, column)
            line.append(f"{count:>12}", style="red" if count and column in ALARMING else "")
        line.append("".join(f"{age:>12}" for age in _ages(row) * has_ages))
        yield line
    yield from _reasons(rows)
    yield from _before_the_destinations(ledger_rows(ledger))


def _ages(row: Mapping[str, object]) -> list[str]:
    """How old a line was when the destination had it: the usual one, and the oldest."""
    ages = row.get("ageMs")
    told = ages if isinstance(ages, dict) else {}
    values = [told.get(quantile) for quantile in AGES.values()]
    return [duration(value) if isinstance(value, (int, float)) else "-" for value in values]


def _before_the_destinations(rows: Mapping[str, Mapping[str, object]]) -> Iterator[Text]:
    """What never came to a destination's row: posts that were refused, and what the platform lost."""
    refused, lost = rows.get("refused"), rows.get("platform")
    if refused is not None:
        text = f"{_count(refused, 'received')} posts of the platform were refused for want of room: it sends them again"
        yield Text(f"    {text}", style="red")
    if lost is not None:
        yield Text(f"    the platform lost {dropped_total(lost)} records before they came to the agent", style="red")


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
