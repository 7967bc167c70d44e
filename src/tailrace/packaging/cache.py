"""The plain layer, unpacked once for each content and kept, for runs on this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tailrace.errors import ConfigError
from tailrace.packaging import interpreters
from tailrace.packaging.interpreters import Interpreter
from tailrace.packaging.layer import COMPILER, EXTENSION, LAUNCHER, agent_sources, layer_content, put_files

# Part of every key: changed when what is built from the same input changes.
FORM = b"1"


def plain_layer(find: Callable[[], Sequence[Interpreter]] = interpreters.find_all, cache: Path | None = None) -> Path:
    """The folder of the unpacked layer, built where it is not there yet; its ``extensions/tailrace`` can be run.

    Any number of processes may ask at once: each builds in a folder of its own, the first to finish puts it in
    place. `cache` is ``$XDG_CACHE_HOME/tailrace`` (or ``~/.cache/tailrace``) unless given. Raises `ConfigError`
    where nothing can be kept there.
    """
    folder = cache if cache is not None else cache_folder()
    place = folder / f"layer-{content_key(agent_sources(), program_files())}"
    if (place / EXTENSION).is_file():
        return place
    content = layer_content(find())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        put_in_place(place, content)
    except OSError as error:
        raise ConfigError(
            "cache folder",
            f"cannot keep the layer in {folder}: {error.strerror}",
            "set XDG_CACHE_HOME to a writable one",
        ) from error
    return place


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path is to be ignored, says the base directory specification.
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "tailrace"


def program_files() -> list[Path]:
    """The programs that bytecode may be made with, without running any of them."""
    return [path for runtime in interpreters.SUPPORTED for path in interpreters.candidates(runtime)]


def content_key(sources: Mapping[str, bytes], programs: Iterable[Path]) -> str:
    """What the layer depends on: sources, launcher, the way of compiling, and the interpreters at hand."""
    digest = hashlib.sha256(FORM)
    for name, data in sorted({**sources, "launcher": LAUNCHER.read_bytes(), "compiler": COMPILER.read_bytes()}.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    for program in programs:
        status = program.stat()
        digest.update(f"{program}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:32]


def put_in_place(place: Path, content: Mapping[str, bytes]) -> None:
    """Write `content` beside `place` and rename it: a reader finds all of it or nothing."""
    temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix=".layer-"))
    try:
        put_files(temporary, content)
        temporary.chmod(0o755)
        temporary.rename(place)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        if not (place / EXTENSION).is_file():
            raise
