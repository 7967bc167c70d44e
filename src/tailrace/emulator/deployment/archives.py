"""Unpacking the zip files of layers and functions: with modes and links, and never outside the target."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tailrace.errors import UsageError

MAX_UNPACKED_BYTES = 250 * 1024 * 1024
"""Function and layers together, unpacked (lambda-platform.md 2.9)."""

MAX_UNPACKED_MB = MAX_UNPACKED_BYTES // (1024 * 1024)

_ELSEWHERE = ("/opt", "/var/task", "/tmp")  # noqa: S108 - where links lead in the sandbox, nothing is written there
_MODE_WITHOUT_ONE = 0o644
"""For entries of archives that were made on a system without modes."""

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)
"""What a zip file raises that is damaged, encrypted, or packed in an unknown way."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where something is unpacked: `folder` here stands for `seen` in the sandbox, for example ``/opt``.

    `option` names what the user gave it by, for error texts.
    """

    folder: Path
    seen: str
    option: str


def unpack_zip(archive: Path, target: Target, budget_bytes: int) -> int:
    """Unpack `archive` over what lies in `target` already. Returns the unpacked size in bytes.

    Raises `UsageError` before anything is written when that is over `budget_bytes`, and for an archive that is
    damaged or has an entry or a link that leads outside.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            n_bytes = sum(entry.file_size for entry in file.infolist())
            if n_bytes > budget_bytes:
                raise too_large(archive, target.option)
            for entry in file.infolist():
                _extract(file, entry, archive, target)
            return n_bytes
    except _DAMAGED as error:
        raise UsageError(target.option, f"{archive} cannot be unpacked ({error})", "build it again") from error


def too_large(path: Path, option: str) -> UsageError:
    found = f"with {path} the function's code and layers are larger than {MAX_UNPACKED_MB} MB unpacked"
    return UsageError(option, found, "Lambda allows no more")


def make_room(path: Path) -> None:
    """Remove what stands at `path`, so that something else can."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def link(destination: str, place: Path, archive: Path, target: Target) -> None:
    """Make a symbolic link at `place`, as it was packed.

    One to `target.seen` is made relative: it holds here and in a sandbox where the folder is mounted there. One to
    another of the sandbox's folders stays as it is. Raises `UsageError` for one that leads anywhere else.
    """
    root = target.folder.resolve()
    if destination.startswith("/"):
        destination = os.path.normpath(destination)  # "/../opt" is "/opt"
    if _is_below(destination, target.seen):
        aim = Path(os.path.normpath(f"{root}/{destination.removeprefix(target.seen)}"))
        destination = os.path.relpath(aim, place.parent.resolve())
    else:
        aim = Path(os.path.normpath(place.parent.resolve() / destination))
    is_elsewhere = any(_is_below(os.path.normpath(destination), folder) for folder in _ELSEWHERE)
    if not aim.is_relative_to(root) and not is_elsewhere:
        found = f'{archive} has a link "{place.name}" to "{destination}", outside {target.seen}'
        raise UsageError(target.option, found, "build it again")
    make_room(place)
    place.symlink_to(destination)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, archive: Path, target: Target) -> None:
    place = _inside(entry.filename, archive, target)
    if entry.is_dir():
        _make_folder(place)
        return
    _make_folder(place.parent)
    mode = entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        link(file.read(entry).decode("utf-8", "surrogateescape"), place, archive, target)
        return
    make_room(place)
    with file.open(entry) as source, place.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    place.chmod(mode & 0o777 or _MODE_WITHOUT_ONE)


def _make_folder(place: Path) -> None:
    """`place` becomes a folder, also where an earlier layer has a file, or a link that leads nowhere."""
    for path in (*reversed(place.parents), place):
        if not path.is_dir():
            path.unlink(missing_ok=True)
            path.mkdir()


def _inside(name: str, archive: Path, target: Target) -> Path:
    """Where an entry goes; refused when that is anywhere but below the target, links on the way included."""
    parts = PurePosixPath(name).parts
    place = target.folder.joinpath(*parts)
    is_outside = not place.parent.resolve().is_relative_to(target.folder.resolve())
    if not parts or name.startswith("/") or ".." in parts or is_outside:
        found = f'{archive} has an entry "{name}" that leads outside {target.seen}'
        raise UsageError(target.option, found, "build it again")
    return place
