"""What `tailrace replay` says in the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from tailrace.cli.screen import new_console
from tailrace.replay import replay as words
from tailrace.replay.replay import Figures, Handled

_SENTENCES = {
    words.DELIVERED: "delivered",
    words.CONFIRMED: "confirmed before, not sent again",
    words.REFUSED: "refused",
    words.NOT_SENT: "not sent, the destination takes nothing now",
    words.NO_TARGET: "without a destination",
}
_STYLES = {words.DELIVERED: "green", words.REFUSED: "red", words.NOT_SENT: "red", words.NO_TARGET: "red"}
_COLUMNS = ("time", "function", "destination", "reason", "records", "status", "file")


def document(
    location: str, state: Path, handled: Sequence[Handled], figures: Figures, sends: bool, is_interrupted: bool
) -> str:
    """The JSON document: one entry an envelope that was asked for, and the figures."""
    value = {
        "location": location,
        "state": str(state),
        "sends": sends,
        "interrupted": is_interrupted,
        "envelopes": [_entry(one) for one in handled],
        "files": figures.files,
        "foreignFiles": figures.foreign_files,
        "unreadable": figures.unreadable,
        "deliveredRecords": figures.delivered_records,
        "refusedRecords": figures.refused_records,
        "problems": figures.problems,
    }
    return json.dumps(value, indent=2)


def show(handled: Sequence[Handled], figures: Figures, sends: bool, has_targets: bool) -> None:
    """A table where nothing is sent, figures where something is, and every problem once, on standard error."""
    console = new_console()
    if not sends:
        for line in _table(handled):
            console.print(line, soft_wrap=True)
    for line in _figures(figures, sends, has_targets):
        console.print(line, soft_wrap=True)
    errors = new_console(stderr=True)
    for problem in figures.problems:
        errors.print(Text(f"tailrace: {printable(problem)}"), soft_wrap=True)


def printable(text: str) -> str:
    """Text from a file that anybody may have written, without what would steer a terminal."""
    return "".join(ch if ch.isprintable() else "\N{REPLACEMENT CHARACTER}" for ch in text)


def _entry(one: Handled) -> dict[str, object]:
    envelope = one.envelope
    return {
        "where": envelope.where,
        "time": envelope.time,
        "destination": envelope.destination,
        "reason": envelope.reason,
        "error": envelope.error,
        "attempts": envelope.attempts,
        "firstAttemptTime": envelope.first_attempt,
        "lastAttemptTime": envelope.last_attempt,
        "functionName": envelope.function_name,
        "functionVersion": envelope.function_version,
        "requestIds": list(envelope.request_ids),
        "firstSeq": envelope.batch.first_seq,
        "lastSeq": envelope.batch.last_seq,
        "records": one.n_records,
        "idempotencyKey": envelope.key,
        "to": one.target or None,
        "status": one.status,
        "why": one.why,
    }


def _table(handled: Sequence[Handled]) -> list[Text]:
    if not handled:
        return []
    rows = [_COLUMNS, *map(_row, handled)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append(Text("  ".join(cells).rstrip(), style="dim" if row is _COLUMNS else ""))
    return [*lines, Text()]


def _row(one: Handled) -> tuple[str, ...]:
    envelope = one.envelope
    reason = envelope.reason if not envelope.error else f"{envelope.reason}: {envelope.error}"
    where = envelope.destination if one.target in ("", envelope.destination) else one.target
    cells = (envelope.time, envelope.function_name, where, reason[:60], str(one.n_records), one.status, envelope.where)
    return tuple(map(printable, cells))


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _figures(figures: Figures, sends: bool, has_targets: bool) -> list[Text]:
    foreign = f", {figures.foreign_files} of them without dead letters" if figures.foreign_files else ""
    lines = [
        Text(
            f"{figures.selected} of {_counted(figures.envelopes, 'envelope')}, {_counted(figures.records, 'record')},"
            f" in {_counted(figures.files, 'file')}{foreign}"
        )
    ]
    for status, sentence in _SENTENCES.items():
        n = figures.by_status.get(status, 0)
        if n:
            lines.append(Text(f"  {n} {sentence}", style=_STYLES.get(status, "")))
    pending = figures.by_status.get(words.PENDING, 0)
    if pending and has_targets:
        lines.append(Text(f"  {pending} would be sent"))
    if figures.unreadable:
        lines.append(Text(f"  {figures.unreadable} cannot be read", style="red"))
    if sends:
        refused = f", {figures.refused_records} refused" if figures.refused_records else ""
        lines.append(Text(f"  {_counted(figures.delivered_records, 'record')} delivered now{refused}"))
    return lines
