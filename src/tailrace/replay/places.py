"""Where dead letters lie: a folder or a bucket, as a list of files that can be read from their beginnings."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote

from tailrace.config.destinations import VARIABLE, DestinationSpec, load_destinations
from tailrace.config.urls import decode
from tailrace.destinations.registry import SCHEMES
from tailrace.errors import ConfigError, TailraceError, UsageError
from tailrace.replay.patience import Patience

LOCATION = "LOCATION"
_ALLOWED = "a folder, a file, file:///FOLDER or s3://BUCKET/PREFIX"


class PlaceError(TailraceError):
    """A place or one of its files cannot be read; `str()` says which and why."""


@dataclass(frozen=True)
class StoredFile:
    """`name` is its path below the place, or its key."""

    name: str
    n_bytes: int


class Place(Protocol):
    """Where files lie. `name` is shown and says where the state of a replay belongs; it holds no secret."""

    @property
    def name(self) -> str: ...

    def files(self) -> Iterator[StoredFile]:
        """In the order of their names. Raises `PlaceError`."""

    def open(self, file: StoredFile) -> AbstractContextManager[BinaryIO]:
        """Its bytes. Raises `PlaceError`."""


class FolderPlace:
    """Every file below a folder, or one file. Names that begin with a dot are files that are being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._is_file = stat.S_ISREG(path.stat().st_mode)
        except FileNotFoundError:
            raise UsageError(LOCATION, f"there is no {path}", f"it must be {_ALLOWED}") from None
        except OSError as error:
            raise UsageError(LOCATION, f"{path} cannot be read: {_reason(error)}", "") from None
        self.name = f"file://{quote(str(path.resolve()))}"

    def files(self) -> Iterator[StoredFile]:
        if self._is_file:
            yield StoredFile(self._path.name, self._path.stat().st_size)
            return
        for folder, folders, names in os.walk(self._path, onerror=_raise):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if not name.startswith(".") and path.is_file():
                    yield StoredFile(str(path.relative_to(self._path)), path.stat().st_size)

    def open(self, file: StoredFile) -> AbstractContextManager[BinaryIO]:
        path = self._path if self._is_file else self._path / file.name
        try:
            return path.open("rb")
        except OSError as error:
            raise PlaceError(f"{path} cannot be read: {_reason(error)}") from None


def open_place(text: str, environ: Mapping[str, str], patience: Patience | None = None) -> Place:
    """The place that `text` means, read with `patience`. Raises `UsageError`."""
    if "://" not in text and not text.startswith(("file:", "s3:")):
        return FolderPlace(Path(text))
    spec = read_spec(text, LOCATION)
    if spec.scheme == "file":
        return FolderPlace(Path(decode(spec.url.path)))
    if spec.scheme == "s3":
        from tailrace.replay.s3_place import S3Place

        try:
            return S3Place(spec, environ, patience=patience)
        except ConfigError as error:
            raise UsageError(error.setting, error.found, error.remedy) from None
    raise UsageError(LOCATION, f"dead letters do not lie behind {spec.scheme}:", f"it must be {_ALLOWED}")


def read_spec(text: str, setting: str) -> DestinationSpec:
    """The one destination URL in `text`, found in `setting`. Raises `UsageError` naming that."""
    found = load_destinations({VARIABLE: text.strip()}, SCHEMES)
    if found.problems:
        problem = found.problems[0]
        raise UsageError(setting, problem.found, problem.remedy)
    if len(found.specs) != 1:
        raise UsageError(setting, f"it holds {len(found.specs)} URLs", "write one, with blanks as %20")
    return found.specs[0]


def _raise(error: OSError) -> None:
    raise PlaceError(f"{error.filename} cannot be read: {_reason(error)}")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
