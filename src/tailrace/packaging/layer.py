"""The plain layer: the extension for functions in Python, run by the sandbox's own interpreter.

``extensions/tailrace`` is the launcher, ``tailrace/`` the folder that it puts on the module path, with the package
inside it: as ``/opt/tailrace`` it is on nobody's path but the agent's. The same input gives the same bytes.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tailrace
from tailrace.errors import ConfigError, UsageError
from tailrace.packaging.interpreters import SUPPORTED, Interpreter

SOURCES = Path(tailrace.__file__).parent
LAUNCHER = Path(__file__).with_name("launcher.sh")
COMPILER = Path(__file__).with_name("bytecode.py")

EXTENSION = "extensions/tailrace"
CODE = "tailrace"
PLACE_ON_LAMBDA = f"/opt/{CODE}"
# What the agent is made of: whole packages, and single modules of those that serve the emulator as well ...
PACKAGES = (
    "agent",
    "aws",
    "config",
    "destinations",
    "model",
    "pipeline",
    "processors",
    "receivers",
)
MODULES = (
    "__init__.py",
    "clock.py",
    "errors.py",
    "version.py",
    "protocol/__init__.py",
    "protocol/events.py",
    "protocol/jsontext.py",
    "protocol/odd_json.py",
)
# ... without what only type checkers read.
LEFT_OUT = ("pipeline/interfaces.py",)

# The earliest instant a zip can tell. It is the same for all: time stamps would change the bytes.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
EXECUTABLE = 0o100755
READABLE = 0o100644
COMPILE_TIMEOUT_S = 120.0

OTHER_RUNTIMES = (
    "This layer is for Python functions. Functions in other languages need the self-contained form, "
    "which carries its own interpreter and comes later."
)


@dataclass(frozen=True)
class LayerReport:
    """What was built: `runtimes` start from cached bytecode, `uncovered` compile at each start."""

    path: Path
    zipped_bytes: int
    unzipped_bytes: int
    runtimes: tuple[str, ...]
    uncovered: tuple[str, ...]

    def sentences(self) -> tuple[str, ...]:
        """What a person should know about it, one sentence an item."""
        covered = f"Bytecode is included for {', '.join(self.runtimes) or 'no runtime'}."
        if not self.uncovered:
            return (covered, OTHER_RUNTIMES)
        names = ", ".join(self.uncovered)
        slow = (
            f"Under {names} it works too but compiles at each start: name them with --runtime where they are installed."
        )
        return (covered, slow, OTHER_RUNTIMES)


def build_layer(output: Path, interpreters: Sequence[Interpreter]) -> LayerReport:
    """Write the layer to the zip file `output`, whole or not at all, with bytecode for each of `interpreters`.

    Raises `UsageError` where the file cannot be written, `ConfigError` where an interpreter cannot compile.
    """
    content = layer_content(interpreters)
    try:
        write_zip(output, content)
    except OSError as error:
        raise UsageError(
            "-o", f"cannot write {output}: {error.strerror}", "name a file in a writable folder"
        ) from error
    runtimes = tuple(interpreter.runtime for interpreter in interpreters)
    return LayerReport(
        path=output,
        zipped_bytes=output.stat().st_size,
        unzipped_bytes=sum(map(len, content.values())),
        runtimes=runtimes,
        uncovered=tuple(runtime for runtime in SUPPORTED if runtime not in runtimes),
    )


def layer_content(interpreters: Sequence[Interpreter]) -> dict[str, bytes]:
    """Every file of the layer by its name in the zip, in the order of names."""
    sources = agent_sources()
    content = {EXTENSION: LAUNCHER.read_bytes()}
    content.update({f"{CODE}/{name}": source for name, source in sources.items()})
    for interpreter in interpreters:
        compiled = compile_sources(interpreter, sources)
        content.update({f"{CODE}/{name}": code for name, code in compiled.items()})
    return dict(sorted(content.items()))


def agent_sources() -> dict[str, bytes]:
    """The sources that the agent needs, by name below the code folder (``tailrace/agent/start.py``)."""
    files = [SOURCES / name for name in MODULES]
    for package in PACKAGES:
        files += sorted((SOURCES / package).rglob("*.py"))
    names = {file.relative_to(SOURCES).as_posix(): file for file in files}
    return {f"tailrace/{name}": file.read_bytes() for name, file in names.items() if name not in LEFT_OUT}


def compile_sources(interpreter: Interpreter, sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """The bytecode of `sources` for `interpreter`, by name (``.../__pycache__/start.cpython-313.pyc``).

    A process of its own with a fixed hash seed and none of the caller's Python settings: sets of constants would
    come out in another order otherwise.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryDirectory(prefix="tailrace-layer-") as folder:
        place, target = Path(folder, "sources"), Path(folder, "bytecode")
        put_files(place, sources)
        command: list[str | Path] = [interpreter.path, "-S", "-B", "-P", COMPILER, place, target, PLACE_ON_LAMBDA]
        try:
            subprocess.run(
                command,
                env={**inherited, "PYTHONHASHSEED": "0"},
                check=True,
                capture_output=True,
                text=True,
                timeout=COMPILE_TIMEOUT_S,
            )
        except (OSError, subprocess.SubprocessError) as error:
            detail = getattr(error, "stderr", None) or str(error)
            raise ConfigError(
                interpreter.runtime, f"{interpreter.path} cannot compile the agent: {detail.strip()}"
            ) from error
        return {file.relative_to(target).as_posix(): file.read_bytes() for file in sorted(target.rglob("*.pyc"))}


def put_files(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write `content` below `folder`; the launcher is executable whatever the umask says."""
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode_of(name) & 0o777)


def write_zip(output: Path, content: Mapping[str, bytes]) -> None:
    """A zip of `content`, sorted, dated alike, put in place by a rename."""
    with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}-", delete=False) as file:
        temporary = Path(file.name)
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted(content):
                entry = zipfile.ZipInfo(name, ZIP_EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3
                entry.external_attr = mode_of(name) << 16
                archive.writestr(entry, content[name], compresslevel=9)
        temporary.chmod(0o666 & ~current_umask())
        temporary.replace(output)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def mode_of(name: str) -> int:
    return EXECUTABLE if name == EXTENSION else READABLE


def current_umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
