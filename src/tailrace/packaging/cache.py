"""The plain layer, unpacked once for each content and kept, for runs on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tailrace.emulator.workspace import runtime_dir
from tailrace.errors import ConfigError
from tailrace.packaging import interpreters
from tailrace.packaging.interpreters import Interpreter
from tailrace.packaging.layer import COMPILER, EXTENSION, LAUNCHER, agent_sources, layer_content, put_files

# Part of every key: changed when what is built from the same input changes.
FORM = b"1"
# Layers of former sources and interpreters are removed when that many were used later and this long ago: whoever still
# runs one was started from it within that time.
KEPT = 4
UNUSED_S = 7 * 86_400.0


def plain_layer(find: Callable[[], Sequence[Interpreter]] = interpreters.find_all, cache: Path | None = None) -> Path:
    """The folder of the unpacked layer, built where it is not there yet; its ``extensions/tailrace`` can be run.

    Any number of processes may ask at once: each builds in a folder of its own, the first to finish puts it in
    place. `cache` is ``$XDG_CACHE_HOME/tailrace`` (or ``~/.cache/tailrace``, or a temporary folder) unless given.
    Raises `ConfigError` where nothing can be kept there.
    """
    folder = cache if cache is not None else usable_cache_folder()
    place = folder / f"layer-{content_key(agent_sources(), program_files())}"
    if (place / EXTENSION).is_file():
        mark_used(place)
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
    prune(folder, place, time.time())
    return place


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path is to be ignored, says the base directory specification.
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "tailrace"


def usable_cache_folder() -> Path:
    """The cache folder, or where that cannot be made (a container without a home) a private temporary one."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return runtime_dir() / "cache"
    return folder if os.access(folder, os.W_OK) else runtime_dir() / "cache"


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


def mark_used(place: Path) -> None:
    """The folder's own time says when its layer was last asked for."""
    with contextlib.suppress(OSError):  # somebody else's folder can be read all the same
        os.utime(place)


def prune(folder: Path, place: Path, now_s: float) -> None:
    """Remove what nobody has asked for in a long time: layers but for the latest few, and what a killed process left.

    A folder is renamed before it is emptied, so that nobody finds half a layer; who loses a race has nothing to do.
    """
    layers = sorted(folder.glob("layer-*"), key=used_s, reverse=True)
    left_behind = [path for prefix in (".layer-*", ".old-*") for path in folder.glob(prefix)]
    for path in (*layers[KEPT:], *left_behind):
        if path != place and now_s - used_s(path) > UNUSED_S:
            retired = folder / f".old-{path.name}-{os.getpid()}"
            with contextlib.suppress(OSError):
                path.rename(retired)
                shutil.rmtree(retired)


def used_s(path: Path) -> float:
    """When it was last asked for (epoch seconds); just now, where it vanishes meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
