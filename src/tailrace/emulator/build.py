"""From what a user types to a `FunctionConfig`, with every mistake told before anything is started."""

from __future__ import annotations

import importlib.machinery
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tailrace.emulator.customer_environment import CustomerEnvironment, sort_variables
from tailrace.emulator.function import ExtensionFile, FunctionConfig
from tailrace.emulator.handler_check import check_handler, split_handler
from tailrace.emulator.interpreter import RUNTIME_CLIENT, Interpreter, find_interpreter, require_runtime_client
from tailrace.emulator.layers import merge_layers
from tailrace.emulator.workspace import Workspace
from tailrace.errors import UsageError

_NAME_MAX_CHARS = 64


@dataclass(frozen=True, slots=True)
class FunctionOptions:
    """A function as a user describes it. Paths may be relative to the current directory."""

    handler: str
    code_dir: Path = Path()
    bootstrap: Path | None = None
    python: Path | None = None
    extensions: Sequence[Path] = ()
    layers: Sequence[Path] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 3.0
    memory_mb: int = 128
    log_format: str = "Text"
    freeze: bool = True
    name: str = ""


def build_function(options: FunctionOptions, workspace: Workspace) -> FunctionConfig:
    """Check everything and merge the layers into the workspace.

    Raises `UsageError` for the first thing that cannot work, with what was found and what to do.
    """
    code_dir = _code_dir(options.code_dir)
    opt_dir = _opt_dir(options.layers, workspace)
    extensions = _extensions(opt_dir, options.extensions)
    customer = sort_variables(options.variables)
    if options.bootstrap is not None:
        runtime = _custom_runtime(options.bootstrap)
    else:
        runtime = _python_runtime(options, code_dir, opt_dir, customer)
    return FunctionConfig(
        name=options.name or function_name(code_dir),
        handler=options.handler,
        code_dir=code_dir,
        runtime_command=runtime.command,
        timeout_s=options.timeout_s,
        memory_mb=options.memory_mb,
        region=customer.region,
        log_format="JSON" if options.log_format.lower() == "json" else "Text",
        runtime_name=runtime.name,
        execution_env=runtime.execution_env,
        environment=customer.variables,
        credentials=customer.credentials,
        extensions=extensions,
        opt_dir=opt_dir,
        passed_over=_passed_over(opt_dir),
        freeze=options.freeze,
        runtime_environment=runtime.environment,
    )


@dataclass(frozen=True, slots=True)
class _Runtime:
    command: tuple[str, ...]
    name: str
    execution_env: str
    environment: Mapping[str, str]


def function_name(code_dir: Path) -> str:
    """The name of the code's folder, as far as a function's name may hold it (lambda-platform.md 9.1)."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", code_dir.name).strip("-")[:_NAME_MAX_CHARS]
    return name or "function"


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links stay: a user's own names are used


def _code_dir(path: Path) -> Path:
    if not path.is_dir():
        found = "is not a folder" if path.exists() else "does not exist"
        raise UsageError("--code", f"{path} {found}", "give the folder that holds the function's code")
    return path.resolve()


def _opt_dir(layers: Sequence[Path], workspace: Workspace) -> Path | None:
    if not layers:
        return None
    merge_layers(layers, workspace.opt_dir)
    return workspace.opt_dir


def _extensions(opt_dir: Path | None, paths: Sequence[Path]) -> tuple[ExtensionFile, ...]:
    """What lies in `opt/extensions`, sorted, then the single files, in the order given."""
    found = [*_layer_extensions(opt_dir), *(_extension("--extension", _absolute(path)) for path in paths)]
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


def _layer_extensions(opt_dir: Path | None) -> list[ExtensionFile]:
    folder = opt_dir / "extensions" if opt_dir else None
    if folder is None or not folder.is_dir():
        return []
    files = [path for path in sorted(folder.iterdir()) if not path.is_dir()]
    return [_extension("--layer", path, "extensions/") for path in files if os.access(path, os.X_OK)]


def _passed_over(opt_dir: Path | None) -> tuple[str, ...]:
    """Files of `opt/extensions` that are no programs, a read-me perhaps: nobody starts them."""
    folder = opt_dir / "extensions" if opt_dir else None
    if folder is None or not folder.is_dir():
        return ()
    return tuple(sorted(p.name for p in folder.iterdir() if not p.is_dir() and not os.access(p, os.X_OK)))


def _extension(option: str, path: Path, shown_folder: str = "") -> ExtensionFile:
    shown = f"{shown_folder}{path.name}" if shown_folder else str(path)
    if not path.exists():
        raise UsageError(option, f"the extension {shown} does not exist", "give the path of an executable file")
    if path.is_dir():
        raise UsageError(option, f"the extension {shown} is a folder", "give an executable file, or use --layer")
    if not os.access(path, os.X_OK):
        raise UsageError(option, f"the extension {shown} is not executable", f"chmod +x {path.name}")
    return ExtensionFile(path.name, path)


def _custom_runtime(bootstrap: Path) -> _Runtime:
    path = _absolute(bootstrap)
    if not path.is_file():
        found = "is not a file" if path.exists() else "does not exist"
        raise UsageError("--bootstrap", f"{bootstrap} {found}", "give the executable that is the runtime")
    if not os.access(path, os.X_OK):
        raise UsageError("--bootstrap", f"{bootstrap} is not executable", f"chmod +x {bootstrap}")
    return _Runtime((str(path),), "provided.al2023", "", {})


def _python_runtime(
    options: FunctionOptions, code_dir: Path, opt_dir: Path | None, customer: CustomerEnvironment
) -> _Runtime:
    split_handler(options.handler)
    interpreter = find_interpreter(options.python)
    layer_folders = _layer_folders(opt_dir, interpreter.version)
    folders = [code_dir, *layer_folders, *_search_path(customer, code_dir)]
    require_runtime_client(interpreter, folders)
    if not _comes_with_interpreter(options.handler, interpreter, folders):
        check_handler(options.handler, folders, judge_syntax=interpreter.is_ours)
    search = [*map(str, layer_folders), *filter(None, [customer.variables.get("PYTHONPATH")])]
    return _Runtime(
        command=(str(interpreter.path), "-m", RUNTIME_CLIENT, options.handler),
        name=f"python{interpreter.version}",
        execution_env=f"AWS_Lambda_python{interpreter.version}",
        environment={"PYTHONPATH": ":".join(search)} if search else {},
    )


def _layer_folders(opt_dir: Path | None, version: str) -> list[Path]:
    """Where Python modules of layers lie, in the order in which they are searched."""
    if opt_dir is None:
        return []
    return [opt_dir / "python" / "lib" / f"python{version}" / "site-packages", opt_dir / "python"]


def _search_path(customer: CustomerEnvironment, code_dir: Path) -> list[Path]:
    return [code_dir / part for part in customer.variables.get("PYTHONPATH", "").split(":") if part]


def _comes_with_interpreter(handler: str, interpreter: Interpreter, folders: Sequence[Path]) -> bool:
    """Whether the handler's module is an installed package, for example a wrapper of some vendor's."""
    top = split_handler(handler)[0].partition(".")[0]
    if not interpreter.is_ours or any((folder / top).exists() or (folder / f"{top}.py").exists() for folder in folders):
        return False
    installed = [folder for folder in sys.path if folder.endswith("-packages")]
    return importlib.machinery.PathFinder.find_spec(top, installed) is not None
