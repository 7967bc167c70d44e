"""What lies in one file: envelopes, and what cannot be used of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tailrace.errors import TailraceError
from tailrace.replay.envelope import MARK, BrokenEnvelopeError, Envelope, is_meant_as_envelope, read_envelope
from tailrace.replay.lines import DamagedFileError, LineLimits, LongLine, lines_of
from tailrace.replay.places import Place, PlaceError, StoredFile

NAME_MARK = "-dead-letter-"
"""Stands in the names of files that the agent wrote."""


@dataclass
class FileContents:
    """`n_troubles` counts what is meant as an envelope and cannot be used; a foreign file has neither."""

    name: str
    envelopes: list[Envelope] = field(default_factory=list)
    is_foreign: bool = False
    n_troubles: int = 0
    _lines: dict[str, list[int]] = field(default_factory=dict)
    _others: list[str] = field(default_factory=list)

    def note_line(self, number: int, what: str) -> None:
        self.n_troubles += 1
        self._lines.setdefault(what, []).append(number)

    def note(self, trouble: str) -> None:
        self.n_troubles += 1
        self._others.append(trouble)

    @property
    def troubles(self) -> list[str]:
        """Sentences, one for each thing that is wrong, however many lines have it."""
        return [f"{self.name}, {_lines(numbers)}: {what}" for what, numbers in self._lines.items()] + self._others


def read_file(place: Place, file: StoredFile) -> FileContents:
    """Never raises for what is in the file, nor for a file that cannot be read: that is a trouble of its own."""
    contents = FileContents(file.name)
    is_ours = NAME_MARK in file.name
    try:
        with place.open(file) as stream:
            for number, line in enumerate(lines_of(stream, LineLimits(MARK)), 1):
                if isinstance(line, LongLine):
                    is_envelope = _take_long(contents, line, number)
                else:
                    is_envelope = not line.strip() or _take(contents, line, number)
                if not is_envelope and not is_ours and not contents.envelopes:
                    contents.is_foreign = not contents.n_troubles
                    break
    except (DamagedFileError, PlaceError) as error:
        _note_damage(contents, error, is_ours)
    return contents


def _take(contents: FileContents, line: bytes, number: int) -> bool:
    """Whether the line is an envelope, usable or not."""
    try:
        envelope = read_envelope(line, f"{contents.name}, line {number}")
    except BrokenEnvelopeError as error:
        contents.note_line(number, str(error))
        return True
    if envelope is not None:
        contents.envelopes.append(envelope)
        return True
    if contents.envelopes or NAME_MARK in contents.name or is_meant_as_envelope(line):
        contents.note_line(number, "this is no envelope")
    return False


def _take_long(contents: FileContents, line: LongLine, number: int) -> bool:
    is_meant = is_meant_as_envelope(line.head)
    if is_meant or contents.envelopes or NAME_MARK in contents.name:
        most = line.max_bytes // 1_048_576
        contents.note_line(number, f"it is longer than {most} MiB, which no envelope is; it was skipped")
    return is_meant


def _lines(numbers: list[int]) -> str:
    """At most the first three of them by number."""
    shown = ", ".join(map(str, numbers[:3]))
    if len(numbers) == 1:
        return f"line {shown}"
    return f"lines {shown}" + (f" and {len(numbers) - 3} more" if len(numbers) > 3 else "")


def _note_damage(contents: FileContents, error: TailraceError, is_ours: bool) -> None:
    if isinstance(error, PlaceError):
        contents.note(str(error))
    elif is_ours or contents.envelopes:
        contents.note(f"{contents.name}: {error}")
    else:
        contents.is_foreign = True
