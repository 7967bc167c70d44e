"""Compile a folder of sources into bytecode that no interpreter checks or recompiles. Run by the interpreter it is
for, as a program of its own: ``python bytecode.py SOURCES TARGET SEEN_AS``. Standard library only.

Lambda's zip rewrites time stamps, and a `.pyc` whose source's stamp differs is compiled again at every start. So the
files are of the unchecked-hash kind (PEP 552). Names in them are those of the place where the layer lies on Lambda,
so that nothing of the machine that built it stands in them.

What is loaded is memory of the function's and time of its start. So all is left out that nobody asks for there:
docstrings, asserts, annotations with the import that puts them off, what only type checkers import, and the tables of
lines and columns and the full names of functions, because the agent never writes a traceback: it could hold a secret.
"""

from __future__ import annotations

import ast
import importlib.util
import marshal
import sys
from pathlib import Path
from types import CodeType
from typing import TypeGuard, TypeVar

UNCHECKED_HASH = (1).to_bytes(4, "little")
FOR_TYPE_CHECKERS = "TYPE_CHECKING"

Definition = TypeVar("Definition", ast.FunctionDef, ast.AsyncFunctionDef)


class WithoutTypes(ast.NodeTransformer):
    """Takes annotations away, and blocks under ``if TYPE_CHECKING:`` that have no ``else``, and that name itself where
    nothing else asks for it."""

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self.generic_visit(node)
        if not any(_is_switch(one) and isinstance(one.ctx, ast.Load) for one in ast.walk(node)):
            node.body = [one for one in node.body if not (isinstance(one, ast.Assign) and _is_switch(one.targets[0]))]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._definition(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_If(self, node: ast.If) -> ast.AST:
        if _is_switch(node.test) and not node.orelse:
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        """Nothing of the future is in use but the way annotations are read."""
        is_about_annotations = node.module == "__future__" and [one.name for one in node.names] == ["annotations"]
        return ast.copy_location(ast.Pass(), node) if is_about_annotations else node

    def _definition(self, node: Definition) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def _is_switch(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and node.id == FOR_TYPE_CHECKERS


def compiled(source: bytes, seen_as: str) -> bytes:
    """The bytes of the `.pyc` of `source`, whose code says that it is the file `seen_as`."""
    tree = WithoutTypes().visit(ast.parse(source, seen_as))
    code = compile(tree, seen_as, "exec", dont_inherit=True, optimize=2)
    digest = importlib.util.source_hash(source)
    return importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + digest + marshal.dumps(without_traces(code))


def without_traces(code: CodeType) -> CodeType:
    """`code` and all code inside it, without what only tracebacks show: which line is which, and where a function is
    defined."""
    constants = tuple(without_traces(value) if isinstance(value, CodeType) else value for value in code.co_consts)
    return code.replace(co_consts=constants, co_linetable=b"", co_qualname=code.co_name)


def compile_folder(sources: str, target: str, seen_as: str) -> None:
    """Write the bytecode of each source below `sources` into its `__pycache__` below `target`."""
    for file in sorted(Path(sources).rglob("*.py")):
        inside = file.relative_to(sources)
        cache = Path(target, inside.parent, "__pycache__")
        cache.mkdir(parents=True, exist_ok=True)
        name = f"{inside.stem}.{sys.implementation.cache_tag}.pyc"
        (cache / name).write_bytes(compiled(file.read_bytes(), str(Path(seen_as, inside))))


if __name__ == "__main__":
    compile_folder(*sys.argv[1:4])
