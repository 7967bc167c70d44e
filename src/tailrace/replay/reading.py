"""What lies in one file: envelopes, and what cannot be used of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tailrace.errors import TailraceError
from tailrace.replay.envelope import BrokenEnvelopeError, Envelope, is_meant_as_envelope, read_envelope
from tailrace.replay.lines import DamagedFileError, lines_of
from tailrace.replay.places import Place, PlaceError, StoredFile

NAME_MARK = "-dead-letter-"
"""Stands in the names of files that the agent wrote."""


@dataclass
class FileContents:
    """`troubles` are sentences about what is meant as an envelope and cannot be used; a foreign file has neither."""

    name: str
    envelopes: list[Envelope] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    is_foreign: bool = False


def read_file(place: Place, file: StoredFile) -> FileContents:
    """Never raises for what is in the file, nor for a file that cannot be read: that is a trouble of its own."""
    contents = FileContents(file.name)
    is_ours = NAME_MARK in file.name
    try:
        with place.open(file) as stream:
            for number, line in enumerate(lines_of(stream), 1):
                if line.strip() and not _take(contents, line, number) and not is_ours and not contents.envelopes:
                    contents.is_foreign = not contents.troubles
                    break
    except (DamagedFileError, PlaceError) as error:
        _note_damage(contents, error, is_ours)
    return contents


def _take(contents: FileContents, line: bytes, number: int) -> bool:
    """Whether the line is an envelope, usable or not."""
    where = f"{contents.name}, line {number}"
    try:
        envelope = read_envelope(line, where)
    except BrokenEnvelopeError as error:
        contents.troubles.append(f"{where}: {error}")
        return True
    if envelope is not None:
        contents.envelopes.append(envelope)
        return True
    if contents.envelopes or NAME_MARK in contents.name or is_meant_as_envelope(line):
        contents.troubles.append(f"{where}: this is no envelope")
    return False


def _note_damage(contents: FileContents, error: TailraceError, is_ours: bool) -> None:
    if isinstance(error, PlaceError):
        contents.troubles.append(str(error))
    elif is_ours or contents.envelopes:
        contents.troubles.append(f"{contents.name}: {error}")
    else:
        contents.is_foreign = True
