"""AWS's own client for Node.js, the npm package `aws-lambda-ric`: where it is, and whether it is whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tailrace.emulator.deployment.handler_check import shown_path
from tailrace.errors import UsageError

PACKAGE = "aws-lambda-ric"
_NPM_LIMIT_S = 20
_HOW_TO_GET = (
    f"npm install {PACKAGE} in the function's folder, or elsewhere and name that folder by --node-client "
    "(it builds native code: a C++ compiler, make and cmake, before version 4 autoconf, automake and libtool too)"
)


@dataclass(frozen=True, slots=True)
class NodeClient:
    """`folder` is the package's, `entry` the module that runs it."""

    folder: Path
    entry: Path


def find_client(given: Path | None, folders: Iterable[Path], node: Path, environ: Mapping[str, str]) -> NodeClient:
    """The client in `given`, else in the first of `folders` (each a `node_modules`), else in the host's `NODE_PATH`,
    beside `node`, or where npm installs globally. Raises `UsageError` when there is none, or half of one."""
    if given is not None:
        inside = [given, given / PACKAGE, given / "node_modules" / PACKAGE]
        package = next((folder for folder in inside if _is_client(folder)), None)
        if package is None:
            raise UsageError("--node-client", f"there is no {PACKAGE} in {given}", _HOW_TO_GET)
        return _whole(Path(os.path.abspath(package)))  # noqa: PTH100 - links stay
    looked: dict[Path, None] = {}
    for folder in _all_places(folders, node, environ):
        looked[folder] = None
        if _is_client(folder / PACKAGE):
            return _whole(folder / PACKAGE)
    places = ", ".join(shown_path(folder) for folder in looked)
    found = f"{PACKAGE}, Lambda's own runtime client for Node.js, is not installed (looked in {places})"
    raise UsageError(str(node), found, _HOW_TO_GET)


def _all_places(folders: Iterable[Path], node: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    yield from folders
    yield from (Path(part) for part in environ.get("NODE_PATH", "").split(":") if part.startswith("/"))
    for prefix in dict.fromkeys([node.parent.parent, node.resolve().parent.parent]):
        yield prefix / "lib" / "node_modules"
    npm = shutil.which("npm", path=environ.get("PATH"))
    if npm is not None:
        yield from _global_folder(npm, environ)


def _global_folder(npm: str, environ: Mapping[str, str]) -> list[Path]:
    try:
        result = subprocess.run(
            [npm, "root", "--global"],
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=_NPM_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    folder = result.stdout.strip()
    return [Path(folder)] if folder.startswith("/") else []


def _is_client(folder: Path) -> bool:
    return _manifest(folder).get("name") == PACKAGE


def _manifest(folder: Path) -> Mapping[str, object]:
    try:
        manifest = json.loads((folder / "package.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _whole(folder: Path) -> NodeClient:
    programs = _manifest(folder).get("bin")
    program = programs.get(PACKAGE) if isinstance(programs, dict) else programs
    entry = folder / program if isinstance(program, str) else folder / "index.mjs"
    if not entry.is_file():
        raise UsageError(str(folder), f"{entry.name} is missing there", f"install {PACKAGE} again")
    if next(folder.rglob("*.node"), None) is None:
        found = "its native part was not built: npm's install scripts did not run, or failed"
        raise UsageError(str(folder), found, f"install {PACKAGE} again, without --ignore-scripts")
    return NodeClient(folder, Path(os.path.normpath(entry)))
