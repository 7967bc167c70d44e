"""What `--code` names: the folder of a function's code, or the zip file in which it would be uploaded."""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tailrace.emulator.deployment import archives
from tailrace.emulator.deployment.archives import Target
from tailrace.emulator.deployment.handler_check import shown_path
from tailrace.emulator.deployment.places import CODE
from tailrace.emulator.workspace import Workspace
from tailrace.errors import UsageError

_NAME_MAX_CHARS = 64


@dataclass(frozen=True, slots=True)
class CodePackage:
    """`folder` is what the sandbox sees as `/var/task`; `given` what the user named. `unpacked_bytes` counts towards
    the service's limit: 0 for a folder, which holds more than what would be uploaded."""

    folder: Path
    given: Path
    unpacked_bytes: int = 0

    @property
    def is_archive(self) -> bool:
        return self.folder != self.given

    @property
    def name(self) -> str:
        """A name for the function."""
        return function_name(self.given.with_suffix("") if self.is_archive else self.given)

    def shown(self, path: Path) -> str:
        """A path in a user's words: in a zip file, its place there."""
        if not self.is_archive or not path.is_relative_to(self.folder):
            return shown_path(path)
        return os.path.normpath(os.path.join(shown_path(self.given), path.relative_to(self.folder)))  # noqa: PTH118 - text


def function_name(path: Path) -> str:
    """The last part of the code's path, as far as a function's name may hold it (lambda-platform.md 9.1)."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.name).strip("-")[:_NAME_MAX_CHARS]
    return name or "function"


def open_code(path: Path, workspace: Workspace) -> CodePackage:
    """The code at `path`; a zip file is unpacked into the workspace. Raises `UsageError` when it is neither."""
    if path.is_dir():
        folder = path.resolve()
        return CodePackage(folder, folder)
    if not path.exists():
        raise UsageError("--code", f"{path} does not exist", "give the folder or zip file of the function's code")
    if not zipfile.is_zipfile(path):
        found = "is neither a folder nor a zip file"
        raise UsageError("--code", f"{path} {found}", "give the folder or zip file that holds the function's code")
    folder = workspace.path / "code"
    folder.mkdir()
    n_bytes = archives.unpack_zip(path, Target(folder, CODE, "--code"), archives.MAX_UNPACKED_BYTES)
    return CodePackage(folder, path.resolve(), n_bytes)
