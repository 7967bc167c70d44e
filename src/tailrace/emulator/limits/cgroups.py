"""Control groups: where on this machine one may be made, and what is asked of one, whatever its version.

Version 1 has a tree for each controller; version 2 one tree for all, in which a controller must be passed on
(`cgroup.subtree_control`) before a group below can use it, and only a group without processes may pass one on. A
machine can have both. Groups are made below the one that this process is in, or above it, as near as the system
allows: limits that stand on the way hold for ours too.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tailrace.emulator.processes.process_tree import send

MEMORY = "memory"
CPU = "cpu"
PREFIX = "tailrace-"
"""Of the names of our groups."""

_GONE_WITHIN_S = 2.0
_LOOK_AGAIN_S = 0.002


@dataclass(frozen=True, slots=True)
class CpuQuota:
    """So many microseconds of processor time in each period, summed over all processors."""

    quota_us: int
    period_us: int


class ControlGroup(Protocol):
    """One environment's group. Every method raises `OSError` where the kernel refuses; see `remove` for its end."""

    version: int

    @property
    def controllers(self) -> frozenset[str]:
        """What can be limited: ``memory``, ``cpu``, or both."""
        ...

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its folders, each named by `PREFIX` and the environment's name."""
        ...

    def create(self) -> None: ...

    def add(self, pid: int) -> None:
        """Move a process here; what it starts from now on is here from birth."""
        ...

    def limit_memory(self, n_bytes: int) -> None: ...

    def limit_cpu(self, quota: CpuQuota | None) -> None:
        """None lifts the limit."""
        ...

    def kernel_kills(self) -> int:
        """How many processes of the group the kernel has killed because it was out of memory."""
        ...

    def throttled_periods(self) -> int:
        """In how many periods the group had used its quota up and had to wait."""
        ...


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted tree. `own` is the folder of the group that this process is in."""

    version: int
    controllers: frozenset[str]
    mount: Path
    own: Path


def find_hierarchies(proc: Path = Path("/proc/self")) -> list[Hierarchy]:
    """The trees that are mounted here, as `mountinfo` and `cgroup` of this process tell. Never raises."""
    try:
        memberships = (proc / "cgroup").read_text().splitlines()
        mounts = (proc / "mountinfo").read_text().splitlines()
    except OSError:
        return []
    own_paths = _own_paths(memberships)
    found = [hierarchy for line in mounts if (hierarchy := _hierarchy(line, own_paths)) is not None]
    return [hierarchy for hierarchy in found if hierarchy.own.is_dir()]


def _own_paths(lines: Iterable[str]) -> dict[str, str]:
    """The path of this process's group by controller; under the empty name that of version 2."""
    paths: dict[str, str] = {}
    for line in lines:
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        for name in names.split(","):
            if name or number == "0":
                paths[name] = path
    return paths


def _hierarchy(line: str, own_paths: dict[str, str]) -> Hierarchy | None:
    """From one line of `mountinfo`: `id parent device ROOT MOUNT options… - TYPE source SUPER-OPTIONS`."""
    before, _, after = line.partition(" - ")
    fields, kind = before.split(), after.split()
    if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
        return None
    root, mount = fields[3], Path(fields[4])
    if kind[0] == "cgroup2":
        own = _below(mount, root, own_paths.get("", "/"))
        return Hierarchy(2, frozenset(_words(own / "cgroup.controllers")), mount, own)
    controllers = frozenset(kind[2].split(",")) & {MEMORY, CPU}
    if not controllers:
        return None
    return Hierarchy(1, controllers, mount, _below(mount, root, own_paths.get(min(controllers), "/")))


def _below(mount: Path, root: str, path: str) -> Path:
    """The folder of the group `path` where `root` of the tree is what is mounted: in a container that is a part of
    it, and a path from outside may lead nowhere here."""
    if root != "/" and (path == root or path.startswith(root + "/")):
        path = path[len(root) :]
    folder = mount / path.strip("/")
    return folder if ".." not in folder.parts and folder.is_dir() else mount


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def is_writable(folder: Path) -> bool:
    """Whether a group can be made here and processes moved into it."""
    return os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def flat_keyed(path: Path, key: str) -> int:
    """The number beside `key` in a file of such lines. Raises `OSError`; 0 where the key is not there."""
    for line in path.read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0


def members(folder: Path) -> list[int]:
    """The processes in a group; none where it is gone."""
    return [int(word) for word in _words(folder / "cgroup.procs")]


def is_control_group(folder: Path) -> bool:
    """Whether this is a group of the kernel's, which alone has such a file."""
    return (folder / "cgroup.procs").is_file()


def remove(folders: Iterable[Path]) -> bool:
    """End what still runs in these groups and remove them. False when one is still there after two seconds."""
    give_up_at = time.monotonic() + _GONE_WITHIN_S
    for folder in folders:
        while not _is_removed(folder):
            if time.monotonic() > give_up_at:
                return False
            time.sleep(_LOOK_AGAIN_S)
    return True


def _is_removed(folder: Path) -> bool:
    # a process of another PID namespace is shown as 0, which as an address means ourselves
    for pid in set(members(folder)) - {0, os.getpid()}:
        send(pid, signal.SIGKILL)
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # a member is still on its way out
        return False
    return True
