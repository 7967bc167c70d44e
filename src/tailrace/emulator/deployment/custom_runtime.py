"""A function's own runtime: an executable named `bootstrap`, in its code or in a layer (lambda-platform.md 4.1)."""

from __future__ import annotations

import os
from pathlib import Path

from tailrace.emulator.deployment.runtime import Runtime
from tailrace.errors import UsageError

NAME = "provided.al2023"
BOOTSTRAP = "bootstrap"


def find_bootstrap(code_dir: Path, opt_dir: Path | None) -> Path | None:
    """The first regular file named `bootstrap`: in the code, then in the layers."""
    places = [folder / BOOTSTRAP for folder in (code_dir, opt_dir) if folder is not None]
    return next((path for path in places if path.is_file()), None)


def custom_runtime(given: Path) -> Runtime:
    """The executable that a user named by `--bootstrap`. Raises `UsageError` when it cannot be one."""
    if not given.is_file():
        found = "is not a file" if given.exists() else "does not exist"
        raise UsageError("--bootstrap", f"{given} {found}", "give the executable that is the runtime")
    if not os.access(given, os.X_OK):
        raise UsageError("--bootstrap", f"{given} is not executable", f"chmod +x {given}")
    path = Path(os.path.abspath(given))  # noqa: PTH100 - links stay: a user's own names are used
    return Runtime((str(path),), NAME, files=(path,), is_managed=False)


def packed_runtime(bootstrap: Path, shown: str) -> Runtime:
    """The `bootstrap` that was found in the code or in a layer; `shown` is its place in a user's words.

    Raises `UsageError` when it is not executable: on Lambda it would be tried and fail at every start.
    """
    if not os.access(bootstrap, os.X_OK):
        remedy = "chmod +x it (in a zip file: before it is packed), or choose another --runtime"
        raise UsageError(shown, "is there as custom runtime, but is not executable", remedy)
    return Runtime((str(bootstrap),), NAME, is_managed=False)
