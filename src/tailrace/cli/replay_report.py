"""What `tailrace replay` says in the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.text import Text

from tailrace.cli.screen import new_console
from tailrace.replay import replay as words
from tailrace.replay.replay import Figures, Handled
from tailrace.replay.targets import Targets

_SENTENCES = {
    words.DELIVERED: "delivered",
    words.CONFIRMED: "confirmed before, not sent again",
    words.REFUSED: "refused",
    words.NOT_SENT: "not sent, the destination takes nothing now",
    words.NO_TARGET: "without a destination",
}
SHORT_WORDS = {
    words.DELIVERED: "sent",
    words.CONFIRMED: "confirmed before",
    words.REFUSED: "refused",
    words.NOT_SENT: "not sent",
    words.NO_TARGET: "without a destination",
    words.PENDING: "pending",
}
"""Of an envelope's status, for a line that has little room."""
_STYLES = {words.DELIVERED: "green", words.REFUSED: "red", words.NOT_SENT: "red", words.NO_TARGET: "red"}
_COLUMNS = ("time", "function", "destination", "reason", "records", "status", "file")


@dataclass(frozen=True)
class Report:
    """Says how it went. Without `targets` nobody asked where anything goes."""

    location: str
    state: Path
    sends: bool
    targets: Targets | None
    as_json: bool = False
    again: bool = False

    @property
    def farewell(self) -> str:
        """What a person who interrupts it is told."""
        if not self.sends:
            return "interrupted"
        if self.again:
            return "interrupted; with --again the same command begins from the start"
        return "interrupted; what was confirmed is noted, the same command goes on from there"

    def show(self, handled: Sequence[Handled], figures: Figures, is_interrupted: bool) -> None:
        """A document, or: a table where nothing is sent, figures where something is, and every problem once, on
        standard error. Figures stand there, too, where records went to standard output."""
        if self.as_json:
            click.echo(self.document(handled, figures, is_interrupted))
            return
        has_records = self.sends and self.targets is not None and self.targets.write_standard_output
        console = new_console(stderr=has_records)
        if not self.sends:
            for line in _table(handled):
                console.print(line, soft_wrap=True)
        for line in _figures(figures, self.sends, self.targets is not None, is_interrupted):
            console.print(line, soft_wrap=True)
        errors = new_console(stderr=True)
        for problem in figures.problems:
            errors.print(Text(f"tailrace: {printable(problem)}"), soft_wrap=True)

    def document(self, handled: Sequence[Handled], figures: Figures, is_interrupted: bool) -> str:
        """The JSON document: one entry an envelope that was asked for, and the figures."""
        value = {
            "location": self.location,
            "state": str(self.state),
            "sends": self.sends,
            "interrupted": is_interrupted,
            "envelopes": [_entry(one) for one in handled],
            "files": figures.files,
            "filesLeft": figures.planned_files - figures.finished_files,
            "foreignFiles": figures.foreign_files,
            "copies": figures.copies,
            "leftOut": figures.left_out,
            "unreadable": figures.unreadable,
            "deliveredRecords": figures.delivered_records,
            "refusedRecords": figures.refused_records,
            "problems": figures.problems,
        }
        return json.dumps(value, indent=2)


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


def _figures(figures: Figures, sends: bool, has_targets: bool, is_interrupted: bool) -> list[Text]:
    lines = _found(figures)
    if is_interrupted:
        lines.append(Text(_not_done(figures), style="red"))
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


def _found(figures: Figures) -> list[Text]:
    """What is there, and why not all of it was dealt with."""
    foreign = f", {figures.foreign_files} of them without dead letters" if figures.foreign_files else ""
    lines = [
        Text(
            f"{figures.selected} of {_counted(figures.envelopes, 'envelope')}, {_counted(figures.records, 'record')},"
            f" in {_counted(figures.files, 'file')}{foreign}"
        )
    ]
    if figures.copies:
        lines.append(Text(f"  {figures.copies} the same as others, dealt with once"))
    if figures.left_out:
        lines.append(Text(f"  {figures.left_out} left out by the options"))
    return lines


def _not_done(figures: Figures) -> str:
    if not figures.planned_files:
        return "  interrupted before all files were found"
    left = figures.planned_files - figures.finished_files
    read = f", {_counted(figures.waiting, 'envelope')} of them read already" if figures.waiting else ""
    return f"  interrupted: {left} of {_counted(figures.planned_files, 'file')} not done{read}"
