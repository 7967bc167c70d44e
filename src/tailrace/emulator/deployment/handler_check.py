"""Finding a Python handler without running it, so that a wrong one is told in one sentence before the start."""

from __future__ import annotations

import ast
import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from tailrace.errors import UsageError

_FORM = "a Python handler is module.function, for example app.handler"


def shown_path(path: Path) -> str:
    """A path as a person would write it: relative where that is shorter."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("../..") else relative


def check_handler(
    handler: str, folders: Sequence[Path], *, judge_syntax: bool = True, shown: Callable[[Path], str] = shown_path
) -> None:
    """Check that `handler` names a function in a module below one of `folders` (searched in order).

    Raises `UsageError` with what is wrong and where it was looked for. Whatever cannot be known without
    running the code passes. `judge_syntax` is false where another version of Python will run it. `shown` words a
    path for the error.
    """
    module, function = split_handler(handler)
    source = find_module(module, folders)
    if source is None:
        if any(_has_path_files(folder) for folder in folders):
            return
        raise _module_missing(handler, module, folders, shown)
    if source.suffix != ".py":
        return
    try:
        tree = ast.parse(source.read_bytes(), filename=str(source))
    except (SyntaxError, ValueError) as error:
        if judge_syntax:
            raise _syntax_error(shown(source), error) from None
        return
    names = _bound_names(tree)
    if names is not None and function not in names:
        raise _function_missing(handler, module, function, names, shown(source))


def split_handler(handler: str) -> tuple[str, str]:
    """Module (dotted) and function of a handler. Raises `UsageError` when it has not that form."""
    module, dot, function = handler.rpartition(".")
    module = module.replace("/", ".")
    if not dot or not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f'handler "{handler}"', "has not the form of a handler", _FORM)
    return module, function


def find_module(module: str, folders: Iterable[Path]) -> Path | None:
    """The file of a module (dotted), in the first of `folders` that has it."""
    relative = Path(*module.split("."))
    for folder in folders:
        base = folder / relative
        candidates = [base / "__init__.py", base.with_name(base.name + ".py")]
        candidates += [base.with_name(base.name + suffix) for suffix in (*EXTENSION_SUFFIXES, ".pyc")]
        found = next((path for path in candidates if path.is_file()), None)
        if found is not None:
            return found
    return None


def _has_path_files(folder: Path) -> bool:
    """Modules may come from elsewhere: such files add to the places where Python looks."""
    return any(folder.glob("*.pth"))


def _module_missing(handler: str, module: str, folders: Sequence[Path], shown: Callable[[Path], str]) -> UsageError:
    hint = _hint(module, _modules_in(folders[0], module.count(".") + 1))
    return UsageError(
        f'handler "{handler}" not found',
        f'there is no module "{module}"{hint}',
        f"looked in {shown(folders[0])}; --code says where the function's code lies",
    )


def _modules_in(folder: Path, depth: int) -> list[str]:
    patterns = ["/".join(["*"] * level) + ".py" for level in range(1, depth + 1)]
    paths = [path for pattern in patterns for path in folder.glob(pattern)]
    return sorted(".".join(path.relative_to(folder).with_suffix("").parts) for path in paths)


def _function_missing(handler: str, module: str, function: str, names: set[str], source: str) -> UsageError:
    return UsageError(
        f'handler "{handler}" not found',
        f'module {module} has no attribute "{function}"{_hint(function, names)}',
        f"looked in {source}",
    )


def _syntax_error(source: str, error: SyntaxError | ValueError) -> UsageError:
    line = getattr(error, "lineno", None)
    place = source + (f", line {line}" if line else "")
    return UsageError(place, f"syntax error: {getattr(error, 'msg', None) or error}", "correct it and run again")


def _hint(wrong: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""


_TELLTALE = frozenset({"globals", "exec", "eval", "setattr", "vars", "__dict__", "__getattr__", "modules"})
"""A module that uses one of these may have names that cannot be read off its text."""


def _bound_names(tree: ast.Module) -> set[str] | None:
    """The names that the module binds at its top level, or None where the text does not tell."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return None
        if _spelled(node) & _TELLTALE:
            return None
        if isinstance(node, ast.Global):
            names.update(node.names)
    for node in _module_level(tree):
        names.update(_binds(node))
    return names


def _spelled(node: ast.AST) -> set[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.FunctionDef(name=name):
            return {name}
    return set()


def _module_level(node: ast.AST) -> Iterator[ast.AST]:
    """Every node outside the bodies of functions and classes."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _module_level(child)


def _binds(node: ast.AST) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Name(id=name, ctx=ast.Store()):
            return {name}
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return {alias.asname or alias.name.partition(".")[0] for alias in aliases}
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return {name}
    return set()
