"""Which files are a function's external extensions: those of its layers and those that were named one by one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tailrace.emulator.function import ExtensionFile
from tailrace.errors import UsageError


def find_extensions(opt_dir: Path | None, paths: Sequence[Path]) -> tuple[ExtensionFile, ...]:
    """What lies in `opt/extensions`, sorted, then the single files, in the order given.

    Raises `UsageError` for a single file that cannot be run, and for two of one name.
    """
    found = [*_layer_extensions(opt_dir), *(_extension(Path(os.path.abspath(path))) for path in paths)]  # noqa: PTH100 - links stay
    seen: dict[str, Path] = {}
    for extension in found:
        if extension.name in seen:
            raise UsageError(
                "--extension",
                f'{seen[extension.name]} and {extension.path} are both named "{extension.name}"',
                "extensions are told apart by the name of their file; rename one",
            )
        seen[extension.name] = extension.path
    return tuple(found)


def passed_over(opt_dir: Path | None) -> tuple[str, ...]:
    """Files of `opt/extensions` that are no programs, a read-me perhaps: nobody starts them."""
    return tuple(path.name for path in _layer_files(opt_dir) if not os.access(path, os.X_OK))


def _layer_extensions(opt_dir: Path | None) -> list[ExtensionFile]:
    return [ExtensionFile(path.name, path) for path in _layer_files(opt_dir) if os.access(path, os.X_OK)]


def _layer_files(opt_dir: Path | None) -> list[Path]:
    folder = opt_dir / "extensions" if opt_dir else None
    if folder is None or not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if not path.is_dir()]


def _extension(path: Path) -> ExtensionFile:
    if not path.exists():
        raise UsageError("--extension", f"the extension {path} does not exist", "give the path of an executable file")
    if path.is_dir():
        raise UsageError("--extension", f"the extension {path} is a folder", "give an executable file, or use --layer")
    if not os.access(path, os.X_OK):
        raise UsageError("--extension", f"the extension {path} is not executable", f"chmod +x {path.name}")
    return ExtensionFile(path.name, path)
