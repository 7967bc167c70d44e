"""Compile a folder of sources into bytecode that no interpreter checks or recompiles. Run by the interpreter it is
for, as a program of its own: ``python bytecode.py SOURCES TARGET SEEN_AS``. Standard library only.

Lambda's zip rewrites time stamps, and a `.pyc` whose source's stamp differs is compiled again at every start. So the
files are of the unchecked-hash kind (PEP 552). Names in them are those of the place where the layer lies on Lambda,
so that nothing of the machine that built it stands in them. Docstrings and asserts are left out: they are memory.
"""

from __future__ import annotations

import importlib.util
import marshal
import sys
from pathlib import Path

UNCHECKED_HASH = (1).to_bytes(4, "little")


def compiled(source: bytes, seen_as: str) -> bytes:
    """The bytes of the `.pyc` of `source`, whose code says that it is the file `seen_as`."""
    code = compile(source, seen_as, "exec", dont_inherit=True, optimize=2)
    digest = importlib.util.source_hash(source)
    return importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + digest + marshal.dumps(code)


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
