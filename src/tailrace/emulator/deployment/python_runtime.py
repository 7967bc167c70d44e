"""A function in Python, run by AWS's own client as the service's managed runtime runs it."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tailrace.emulator.deployment import exec_wrapper
from tailrace.emulator.deployment.code_package import CodePackage
from tailrace.emulator.deployment.handler_check import check_handler, split_handler
from tailrace.emulator.deployment.interpreter import Interpreter, find_interpreter, require_runtime_client
from tailrace.emulator.deployment.places import RUNTIME_FILES, on_host
from tailrace.emulator.deployment.runtime import Runtime

START_SCRIPT = RUNTIME_FILES / "bootstrap.py"


def python_runtime(
    handler: str, python: Path | None, code: CodePackage, opt_dir: Path | None, variables: Mapping[str, str]
) -> Runtime:
    """`variables` are the function's own. Raises `UsageError` for an interpreter that cannot run the function, and for
    a handler that is not there as far as that can be known without running anything."""
    split_handler(handler)
    interpreter = find_interpreter(python)
    layer_folders = _layer_folders(opt_dir, interpreter.version)
    folders = _searched(code, opt_dir, layer_folders, variables.get("PYTHONPATH"))
    require_runtime_client(interpreter, folders)
    may_change = bool(variables.get(exec_wrapper.VARIABLE))
    if not may_change and not _comes_with_interpreter(handler, interpreter, folders):
        check_handler(handler, folders, judge_syntax=interpreter.is_ours, shown=code.shown)
    return Runtime(
        command=(str(interpreter.path), str(START_SCRIPT)),
        name=f"python{interpreter.version}",
        execution_env=f"AWS_Lambda_python{interpreter.version}",
        environment={"_TAILRACE_LAYER_FOLDERS": ":".join(map(str, layer_folders))} if layer_folders else {},
        files=(interpreter.path, *interpreter.folders, START_SCRIPT),
    )


def _layer_folders(opt_dir: Path | None, version: str) -> list[Path]:
    """Where Python modules of layers lie, in the order in which they are searched (as in AWS's published image)."""
    if opt_dir is None:
        return []
    return [opt_dir / "python" / "lib" / f"python{version}" / "site-packages", opt_dir / "python"]


def _searched(
    code: CodePackage, opt_dir: Path | None, layer_folders: Sequence[Path], python_path: str | None
) -> list[Path]:
    """Where modules of the function may lie. A customer's `PYTHONPATH` stands in place of the layers' folders."""
    if python_path is None:
        return [code.folder, *layer_folders]
    parts = [part for part in on_host(python_path, code.folder, opt_dir).split(":") if part]
    return [code.folder, *(code.folder / part for part in parts)]


def _comes_with_interpreter(handler: str, interpreter: Interpreter, folders: Sequence[Path]) -> bool:
    """Whether the handler's module is an installed package, for example a wrapper of some vendor's."""
    top = split_handler(handler)[0].partition(".")[0]
    if not interpreter.is_ours or any((folder / top).exists() or (folder / f"{top}.py").exists() for folder in folders):
        return False
    installed = [folder for folder in sys.path if folder.endswith("-packages")]
    return importlib.machinery.PathFinder.find_spec(top, installed) is not None
