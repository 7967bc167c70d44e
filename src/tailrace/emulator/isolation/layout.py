"""What an environment in namespaces sees: this machine, with the places that Lambda has furnished as Lambda does.

A layout is a list of steps for the namespaces' first process, made without touching anything. The root is a new
file system in memory: every folder of this machine's root is bound into it, `/var` is taken apart likewise, and
`/opt`, `/var/task` and `/tmp` are the environment's own. So no place needs to exist on this machine, and nothing on
it is changed: as on Lambda all is read-only but `/tmp`, and what is shown to be written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from tailrace.emulator.isolation.mounts import HIDDEN, Mount, is_hidden
from tailrace.errors import UsageError

TASK, LAYERS, TMP = "/var/task", "/opt", "/tmp"  # noqa: S108 - the sandbox's, not files of ours
_OWN_FILES = ("hosts", "passwd", "group")
_MAX_LINKS = 40
_READ_ONLY_KINDS = {"/proc": "", "/dev": "read-only"}
"""What is not read-only with all that is mounted below: processes set things in `/proc`, and `/dev/shm` is shared
memory. Devices can be written to wherever they lie."""


class Layout:
    """Collects steps. `machine` is the root of what is shown: `/`."""

    def __init__(self, machine: Path = Path("/")) -> None:
        self.steps: list[tuple[str, ...]] = []
        self._machine = machine
        self._shown: dict[str, Path] = {}
        self._folders = {"/"}
        self._at_last: list[tuple[str, ...]] = []

    # the parts that every environment has

    def add_machine(self, own_in_etc: bool) -> None:
        """The root's folders, without what the environment has of its own."""
        taken_apart = {"var"} | ({"etc"} if own_in_etc else set())
        self._add_entries("/", without={"tmp", "opt", *taken_apart})
        for name in sorted(taken_apart):
            self._folder(f"/{name}")
            self._add_entries(f"/{name}", without={"task"} if name == "var" else set(_OWN_FILES))

    def _add_entries(self, folder: str, without: set[str]) -> None:
        for entry in sorted(self._at(folder).iterdir(), key=_proc_first):
            if entry.name in without:
                continue
            path = str(PurePosixPath(folder, entry.name))
            if entry.is_symlink():
                self.steps.append(("link", path, str(entry.readlink())))
            elif entry.is_dir():
                self._make("folder", path)
                self._bind_from_machine(path)
            elif entry.is_file():
                self._make("file", path)
                self._bind_from_machine(path)
            self._shown[path] = entry

    def _bind_from_machine(self, path: str) -> None:
        self.steps.append(("bind", path, path))
        kind = _READ_ONLY_KINDS.get(path, "tree-read-only")
        if kind:
            self.steps.append((kind, path))

    def add_function(self, code_dir: Path, opt_dir: Path, tmp_mb: int) -> None:
        """Code and layers, which nobody may write to, and `/tmp` with its size."""
        self._folder(TASK)
        self.steps += [("bind", TASK, str(code_dir.resolve())), ("tree-read-only", TASK)]
        self._shown[TASK] = code_dir
        self._folder(LAYERS)
        self.steps.append(("bind", LAYERS, str(opt_dir)))
        self._at_last.append(("read-only", LAYERS))  # places for more are made in it: it is the environment's own
        self._folder(TMP)
        self.steps.append(("tmpfs", TMP, f"mode=1777,size={tmp_mb}m"))

    def add_etc(self, files: Mapping[str, Path]) -> None:
        """Files of `/etc` that are the environment's own, by name."""
        for name, source in files.items():
            self.show(Mount(source, f"/etc/{name}", read_only=True))

    def add_links(self, links: Mapping[str, str]) -> None:
        """Symbolic links where this machine has nothing: path and where it leads."""
        for path, target in links.items():
            if self._source_of(path) is None:
                self._folder(str(PurePosixPath(path).parent))
                self.steps.append(("link", path, target))

    def finished(self) -> Layout:
        self.steps += self._at_last
        return self

    # what is added for one function

    def show(self, mount: Mount) -> None:
        """Make a file or folder visible. Raises `UsageError` where that would need a change on this machine."""
        place = self._source_of(mount.target)
        if place is None:
            self._make("folder" if mount.source.is_dir() else "file", mount.target)
        elif not place.exists():
            raise UsageError(
                "--mount",
                f"{mount.target} does not exist, and {place.parent} is this machine's",
                "make it, or choose a place below /tmp or /opt",
            )
        self.steps.append(("bind", mount.target, str(mount.source)))
        if mount.read_only:
            self.steps.append(("tree-read-only", mount.target))
        self._shown[mount.target] = mount.source

    def keep_visible(self, program: Path) -> None:
        """Where a program, or a link on the way to it, would be hidden, show it with the folder that it belongs to.

        Read-only: on Lambda it lies in `/opt` or `/var/task`, or is the platform's.
        """
        for path in _hops(program):
            if is_hidden(path) and path.exists():
                home = _home(path)
                if not self._is_shown(home):
                    self.show(Mount(home.resolve(), str(home), read_only=True))

    def _is_shown(self, path: Path) -> bool:
        source = self._source_of(str(path))
        return source is not None and source.exists() and source.samefile(path)

    # inside

    def _at(self, path: str) -> Path:
        return self._machine / path.lstrip("/")

    def _source_of(self, path: str) -> Path | None:
        """What of this machine stands at `path`; None where the place is the environment's own."""
        pure = PurePosixPath(path)
        for folder in (pure, *pure.parents):
            source = self._shown.get(str(folder))
            if source is not None:
                return source / pure.relative_to(folder)
        return None

    def _folder(self, path: str) -> None:
        if path not in self._folders and self._source_of(path) is None:
            self._folder(str(PurePosixPath(path).parent))
            self._make("folder", path)

    def _make(self, kind: str, path: str) -> None:
        self._folder(str(PurePosixPath(path).parent))
        self.steps.append((kind, path))
        if kind == "folder":
            self._folders.add(path)


def _proc_first(entry: Path) -> tuple[bool, str]:
    """What is mounted below a folder is read there."""
    return entry.name != "proc", entry.name


def _hops(program: Path) -> Iterator[Path]:
    """A program's path, and wherever links lead from it."""
    for _ in range(_MAX_LINKS):
        yield program
        if not program.is_symlink():
            break
        program = program.parent / program.readlink()
    yield program.resolve()


def _home(program: Path) -> Path:
    """The folder that a program needs around it: an installation's, a layer's, or the one in which it lies."""
    if program.is_dir():
        return program
    folder = program.parent
    if folder.name in ("bin", "extensions") and str(folder.parent) not in HIDDEN:
        folder = folder.parent
    return program if str(folder) in (*HIDDEN, f"{LAYERS}/extensions") else folder
