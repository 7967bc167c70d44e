"""Merging layers into one `/opt`, as Lambda does: in order, later files over earlier ones."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tailrace.errors import UsageError

MAX_UNPACKED_BYTES = 250 * 1024 * 1024
"""Function and layers together, unpacked (lambda-platform.md 2.9)."""


def merge_layers(layers: Sequence[Path], opt_dir: Path) -> None:
    """Lay folders and zip files over each other in `opt_dir`, which is made. Modes are kept.

    Raises `UsageError` for a layer that is missing, is neither, or would write outside.
    """
    opt_dir.mkdir(parents=True, exist_ok=True)
    budget = MAX_UNPACKED_BYTES
    for layer in layers:
        if layer.is_dir():
            budget -= _merge_folder(layer, opt_dir)
        elif not layer.exists():
            raise UsageError("--layer", f"{layer} does not exist", "give a folder or a zip file")
        elif zipfile.is_zipfile(layer):
            budget -= _merge_zip(layer, opt_dir, budget)
        else:
            raise UsageError("--layer", f"{layer} is neither a folder nor a zip file", "give what becomes /opt")
        if budget < 0:
            raise _too_large(layer)


def _too_large(layer: Path) -> UsageError:
    limit_mb = MAX_UNPACKED_BYTES // (1024 * 1024)
    return UsageError("--layer", f"with {layer} the layers are larger than {limit_mb} MB", "Lambda allows no more")


def _merge_folder(layer: Path, opt_dir: Path) -> int:
    n_bytes = 0
    for folder, folders, files in os.walk(layer):
        target = opt_dir / Path(folder).relative_to(layer)
        if target.is_symlink() or target.is_file():
            target.unlink()  # never written through: an earlier layer's link may lead anywhere
        target.mkdir(exist_ok=True)
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in [*files, *links]:
            source = Path(folder) / name
            _make_room(target / name)
            shutil.copy2(source, target / name, follow_symlinks=False)
            n_bytes += source.lstat().st_size
    return n_bytes


def _make_room(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _merge_zip(layer: Path, opt_dir: Path, budget: int) -> int:
    try:
        with zipfile.ZipFile(layer) as archive:
            n_bytes = sum(entry.file_size for entry in archive.infolist())
            if n_bytes > budget:
                raise _too_large(layer)
            for entry in archive.infolist():
                _extract(archive, entry, layer, opt_dir)
            return n_bytes
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UsageError("--layer", f"{layer} cannot be unpacked ({error})", "build it again") from error


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, layer: Path, opt_dir: Path) -> None:
    target = _inside(entry.filename, layer, opt_dir)
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    _make_room(target)
    mode = entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        _link(archive.read(entry).decode("utf-8", "surrogateescape"), target, layer, opt_dir)
        return
    with archive.open(entry) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    target.chmod(mode & 0o777 or 0o644)


def _inside(name: str, layer: Path, opt_dir: Path) -> Path:
    """Where an entry goes; refused when that is anywhere but below `opt_dir`, links on the way included."""
    parts = PurePosixPath(name).parts
    target = opt_dir.joinpath(*parts)
    root = opt_dir.resolve()
    if not parts or name.startswith("/") or ".." in parts or not target.parent.resolve().is_relative_to(root):
        raise UsageError("--layer", f'{layer} has an entry "{name}" that leads outside /opt', "build it again")
    return target


def _link(destination: str, target: Path, layer: Path, opt_dir: Path) -> None:
    """A symbolic link. One to `/opt` leads into the merged folder, which is what stands for it here."""
    if destination == "/opt" or destination.startswith("/opt/"):
        destination = str(opt_dir) + destination.removeprefix("/opt")
    resolved = Path(os.path.normpath(target.parent.resolve() / destination))
    if not resolved.is_relative_to(opt_dir.resolve()) and not resolved.is_relative_to(opt_dir):
        raise UsageError(
            "--layer", f'{layer} has a link "{target.name}" to "{destination}", outside /opt', "build it again"
        )
    target.symlink_to(destination)
