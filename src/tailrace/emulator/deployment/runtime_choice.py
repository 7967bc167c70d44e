"""Which runtime a function has: what the user says, or what its files say."""

from __future__ import annotations

from pathlib import Path

from tailrace.emulator.deployment.code_package import CodePackage
from tailrace.emulator.deployment.custom_runtime import find_bootstrap
from tailrace.emulator.deployment.handler_check import find_module, split_handler
from tailrace.emulator.deployment.node_handler import SUFFIXES, find_node_module
from tailrace.errors import UsageError

AUTO, PYTHON, NODEJS, PROVIDED = "auto", "python", "nodejs", "provided"
RUNTIMES = (AUTO, PYTHON, NODEJS, PROVIDED)


def choose_runtime(asked: str, handler: str, code: CodePackage, opt_dir: Path | None) -> str:
    """The kind of runtime, one of `PYTHON`, `NODEJS`, `PROVIDED`.

    Asked for `auto`: an executable `bootstrap` in the code or a layer is a custom runtime; else a handler whose file
    is Python's is Python, one whose file is JavaScript Node.js. Where no file is found, a code folder with JavaScript
    and no Python is Node.js. `bootstrap` without the right to be run is taken for one only where nothing else fits.
    Raises `UsageError` for a word that is none of these.
    """
    if asked not in RUNTIMES:
        raise UsageError("--runtime", f'"{asked}" is not a runtime', f"one of {', '.join(RUNTIMES)}")
    if asked != AUTO:
        return asked
    bootstrap = find_bootstrap(code.folder, opt_dir)
    if bootstrap is not None and bootstrap.stat().st_mode & 0o111:
        return PROVIDED
    if _is_python(handler, code.folder):
        return PYTHON
    if find_node_module(handler, code.folder) is not None:
        return NODEJS
    if bootstrap is not None:
        return PROVIDED
    return NODEJS if _looks_like_node(handler, code.folder) else PYTHON


def _is_python(handler: str, code_dir: Path) -> bool:
    try:
        module = split_handler(handler)[0]
    except UsageError:
        return False
    return find_module(module, [code_dir]) is not None


def _looks_like_node(handler: str, code_dir: Path) -> bool:
    folder = (code_dir / handler).parent
    if not folder.is_dir():
        folder = code_dir
    suffixes = {path.suffix for path in folder.iterdir()}
    return ".py" not in suffixes and not suffixes.isdisjoint((*SUFFIXES, ".ts"))
