"""Merging layers into one `/opt`, as Lambda does: in order, later files over earlier ones."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tailrace.emulator.deployment import archives
from tailrace.emulator.deployment.archives import Target
from tailrace.emulator.deployment.places import LAYERS
from tailrace.errors import UsageError

MAX_LAYERS = 5
"""What Lambda allows for one function (AWS's documentation, quotas). More are merged here, with a warning: people
add one to a function that has five already, to try it."""

DISABLE_FILE = "disable-extensions-jwigqn8j"
"""In `/opt`: no extension is started and their interfaces do not exist (lambda-platform.md 2.9)."""


def merge_layers(layers: Sequence[Path], opt_dir: Path, budget_bytes: int | None = None) -> None:
    """Lay folders and zip files over each other in `opt_dir`, which is made. Modes and links are kept.

    `budget_bytes` is what the function's code has left of the service's limit. Raises `UsageError` for a layer
    that is missing, is neither, or would write outside, and when they are too large together.
    """
    opt_dir.mkdir(parents=True, exist_ok=True)
    target = Target(opt_dir, LAYERS, "--layer")
    budget = archives.MAX_UNPACKED_BYTES if budget_bytes is None else budget_bytes
    for layer in layers:
        if layer.is_dir():
            budget -= _merge_folder(layer, target)
        elif not layer.exists():
            raise UsageError("--layer", f"{layer} does not exist", "give a folder or a zip file")
        elif zipfile.is_zipfile(layer):
            budget -= archives.unpack_zip(layer, target, budget)
        else:
            raise UsageError("--layer", f"{layer} is neither a folder nor a zip file", "give what becomes /opt")
        if budget < 0:
            raise archives.too_large(layer, "--layer")


def _merge_folder(layer: Path, target: Target) -> int:
    try:
        walk = os.walk(layer, onerror=_raise)
        return sum(_merge_one(Path(folder), folders, files, layer, target) for folder, folders, files in walk)
    except OSError as error:
        found = f"{error.filename or layer} cannot be copied ({error.strerror or error})"
        raise UsageError("--layer", found, "leave it out of the layer") from error


def _raise(error: OSError) -> None:
    raise error


def _merge_one(folder: Path, folders: Sequence[str], files: Sequence[str], layer: Path, target: Target) -> int:
    place = target.folder / folder.relative_to(layer)
    if place.is_symlink() or place.is_file():
        place.unlink()  # never written through: an earlier layer's link may lead anywhere
    place.mkdir(exist_ok=True)
    n_bytes = 0
    for source in (folder / name for name in [*files, *(name for name in folders if (folder / name).is_symlink())]):
        n_bytes += source.lstat().st_size
        _copy(source, place / source.name, target)
    return n_bytes


def _copy(source: Path, place: Path, target: Target) -> None:
    archives.make_room(place)
    destination = str(source.readlink()) if source.is_symlink() else ""
    if destination.startswith(f"{target.seen}/"):
        archives.link(destination, place, source.parent, target)
    else:
        shutil.copy2(source, place, follow_symlinks=False)
