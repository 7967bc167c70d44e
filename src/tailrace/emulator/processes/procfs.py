"""What `/proc` tells about processes. A process that is gone gives None or nothing, never an error."""
# These files are read several times in every invocation, where pathlib's objects would be most of the cost.
# ruff: noqa: PTH110, PTH208

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_READ_BYTES = 1 << 16
_SURELY_WHOLE_BYTES = 2048
"""A first piece as short as this is the whole file; the kernel gives at least half a page otherwise."""


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """The members of `/proc/PID/stat` that matter here. `start_ticks` with `pid` names a process for good."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start_ticks: int

    @property
    def is_stopped(self) -> bool:
        """Stopped, or past the point where it could still run."""
        return self.state in "TtZXx"

    @property
    def is_dead(self) -> bool:
        return self.state in "ZXx"


def _read(path: str) -> bytes | None:
    """A file of the kernel's, whole: it gives large ones in pieces, whatever the size asked for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = piece = os.read(fd, _READ_BYTES)
        while len(piece) > _SURELY_WHOLE_BYTES:
            piece = os.read(fd, _READ_BYTES)
            data += piece
        return data
    except OSError:
        return None
    finally:
        os.close(fd)


def stat(pid: int) -> ProcessStat | None:
    data = _read(f"/proc/{pid}/stat")
    if not data:
        return None
    # the second member is the program's name in parentheses, which may itself hold blanks and parentheses
    rest = data[data.rindex(b")") + 2 :].split()
    return ProcessStat(
        pid=pid,
        state=chr(rest[0][0]),
        parent=int(rest[1]),
        group=int(rest[2]),
        session=int(rest[3]),
        start_ticks=int(rest[19]),
    )


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def children(pid: int) -> list[int]:
    """The direct children of a process, of all its threads."""
    found: list[int] = []
    for thread in _threads(pid):
        data = _read(f"/proc/{pid}/task/{thread}/children")
        if data:
            found += map(int, data.split())
        elif data is None and not _HAS_CHILDREN_FILES:
            return children_by_scan(pid)
    return found


def children_by_scan(pid: int) -> list[int]:
    """For kernels without the `children` files."""
    return [stat_.pid for stat_ in map(stat, all_pids()) if stat_ is not None and stat_.parent == pid]


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(pid: int) -> list[int]:
    """Everything below a process, parents before their children."""
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children(queue.pop())
        found += below
        queue += below
    return found


def environment_value(pid: int, name: str) -> str | None:
    """A variable of the environment that the process was started with."""
    data = _read(f"/proc/{pid}/environ")
    prefix = name.encode() + b"="
    for item in (data or b"").split(b"\0"):
        if item.startswith(prefix):
            return item[len(prefix) :].decode("utf-8", "replace")
    return None


class ResidentSize:
    """How many pages of a process are resident: cheap to read, so it tells whether the dearer `set_size` can have
    changed. It is asked for several times in every invocation, so the file stays open; it is this very process's,
    whoever gets its number later."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def of(cls, pid: int) -> ResidentSize | None:
        """None where there is no such process."""
        try:
            return cls(os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return None

    def pages(self) -> int | None:
        """None when the process is gone."""
        try:
            data = os.pread(self._fd, _SURELY_WHOLE_BYTES, 0)
        except OSError:
            return None
        return int(data.split(None, 2)[1]) if data else None

    def close(self) -> None:
        os.close(self._fd)


@dataclass(frozen=True, slots=True)
class SetSize:
    """The proportional set size: pages shared by n processes count one n-th each, so that sums are true.

    `held_bytes` leaves out the pages of mapped files, which the kernel can drop and read again, and counts those
    that it has moved to swap.
    """

    n_bytes: int
    held_bytes: int


def set_size(pid: int) -> SetSize:
    """Without `smaps_rollup` (a kernel before 4.14, or not ours to read) the resident size stands in."""
    sizes = {name: int(value) * 1024 for name, value in _set_sizes(pid)}
    if "Pss" in sizes:
        return SetSize(sizes["Pss"], sizes["Pss"] - sizes.get("Pss_File", 0) + sizes.get("SwapPss", 0))
    data = _read(f"/proc/{pid}/statm")
    if not data:
        return SetSize(0, 0)
    _, resident, shared, *_ = (int(word) * PAGE_BYTES for word in data.split())
    return SetSize(resident, resident - shared)


def _set_sizes(pid: int) -> Iterator[tuple[str, str]]:
    for line in (_read(f"/proc/{pid}/smaps_rollup") or b"").decode("ascii", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon and "Pss" in name:
            yield name, value.split()[0]


def _probe_children_files() -> bool:
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


_HAS_CHILDREN_FILES = _probe_children_files()
