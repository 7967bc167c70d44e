"""Finding the file of a Node.js handler without running it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path

from tailrace.errors import UsageError

SUFFIXES = (".js", ".mjs", ".cjs")
"""In the order in which AWS's client tries them, after the bare name."""

_FORM = "a Node.js handler is file.function, for example index.handler or src/index.handler"
_LAST_PART = re.compile(r"([^.]+)\.(.+)")


def split_node_handler(handler: str) -> tuple[str, str]:
    """The file, without suffix, and the name that it exports. Raises `UsageError` when it has not that form."""
    folder, slash, last = handler.rpartition("/")
    match = _LAST_PART.fullmatch(last)
    if match is None or ".." in handler:
        raise UsageError(f'handler "{handler}"', "has not the form of a handler", _FORM)
    return folder + slash + match[1], match[2]


def find_node_module(handler: str, code_dir: Path) -> Path | None:
    """The file that holds `handler`, or None; also None for what is no handler of Node.js."""
    try:
        module = code_dir / split_node_handler(handler)[0]
    except UsageError:
        return None
    return next((path for path in _candidates(module) if path.is_file()), None)


def check_node_handler(handler: str, code_dir: Path, shown: Callable[[Path], str]) -> None:
    """Raises `UsageError` when no file can hold `handler`. What it exports only the client can tell."""
    module = code_dir / split_node_handler(handler)[0]
    if find_node_module(handler, code_dir) is not None or _may_be_a_package(module, code_dir):
        return
    names = ", ".join(path.name for path in _candidates(module)[1:])
    if module.with_name(module.name + ".ts").is_file():
        found = f"there is {module.name}.ts, but none of {names}"
        raise UsageError(f'handler "{handler}" not found', found, "compile it first: --code names what is uploaded")
    hint = _hint(module)
    raise UsageError(
        f'handler "{handler}" not found',
        f"there is none of {names}{hint}",
        f"looked in {shown(module.parent)}; --code says where the function's code lies",
    )


def _candidates(module: Path) -> list[Path]:
    return [module, *(module.with_name(module.name + suffix) for suffix in SUFFIXES)]


def _may_be_a_package(module: Path, code_dir: Path) -> bool:
    """The client asks Node.js itself in the end, which knows folders and installed packages."""
    return module.is_dir() or (code_dir / "node_modules" / module.relative_to(code_dir)).is_dir()


def _hint(module: Path) -> str:
    known = [path.stem for suffix in SUFFIXES for path in module.parent.glob(f"*{suffix}")]
    close = difflib.get_close_matches(module.name, known, n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""
