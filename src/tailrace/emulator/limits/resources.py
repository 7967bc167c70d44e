"""How much of the machine an environment gets: memory, and a share of the processors where that is wanted.

Memory is kept in two ways at once. `MemoryWatch` measures what the processes hold that the kernel cannot take back, and
compares it with the function's memory here. That is exact, and late by some milliseconds. Where a control group is
allowed the kernel keeps a limit as well, which no fast allocation outruns. It counts more than Lambda does, so it
stands higher by `_KERNEL_ROOM_BYTES` for page tables and sockets, and by the whole of a `/tmp` that is memory itself.

The share of the processors is Lambda's: a whole one at 1,769 MB, in proportion below and above
(docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html).
"""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from tailrace.emulator.limits import cgroup_v1, cgroup_v2, cgroups
from tailrace.emulator.limits.cgroup_mover import Mover
from tailrace.emulator.limits.cgroups import CPU, MEMORY, ControlGroup, CpuQuota
from tailrace.emulator.workspace import Workspace
from tailrace.errors import EnvironmentStartError, UsageError

HOST = "host"
LAMBDA = "lambda"
SHARES = (HOST, LAMBDA)
"""Who says how much of the processors a function gets."""

MB = 1_048_576
WHOLE_PROCESSOR_MB = 1769

CPU_PERIOD_US = 20_000
"""The kernel takes no quota below 1 ms. 128 MB get 1.45 ms of 20, and no pause is longer than 20 ms; in a shorter
period the smallest function would fall below, in the usual 100 ms it would stand still for 93 at a time."""

_KERNEL_ROOM_BYTES = 16 * MB
_TMP_BYTES = 512 * MB
"""What a function may write to `/tmp` unless it is given more (lambda-platform.md 3.8)."""

_NO_SHARE = (
    "Lambda's share of the processors needs a control group, and none can be made here",
    "tailrace doctor says why; --cpu host runs without a limit",
)
Find = Callable[[str, frozenset[str]], ControlGroup | None]
"""Finds a place for the group of that name with those controllers, see `find_group`."""

_IN_MEMORY = ("tmpfs", "ramfs")


def processors(memory_mb: int) -> float:
    """How many processors a function of this memory has on Lambda: 0.07 at 128 MB, 5.79 at 10,240."""
    return memory_mb / WHOLE_PROCESSOR_MB


def cpu_quota(memory_mb: int) -> CpuQuota:
    """Lambda's share as a quota in each `CPU_PERIOD_US`."""
    return CpuQuota(round(processors(memory_mb) * CPU_PERIOD_US), CPU_PERIOD_US)


def require_share(cpu: str, find: Find | None = None) -> None:
    """Raises `UsageError` when Lambda's share is wanted and cannot be kept here."""
    if cpu == LAMBDA and _is_missing_cpu((find or find_group)("probe", frozenset({CPU}))):
        raise UsageError("--cpu", *_NO_SHARE)


def _is_missing_cpu(group: ControlGroup | None) -> bool:
    return group is None or CPU not in group.controllers


def find_group(name: str, wanted: frozenset[str], proc: Path = Path("/proc/self")) -> ControlGroup | None:
    """A group that could be made for `name`, with as much of what is wanted as this machine allows; not made yet."""
    hierarchies = cgroups.find_hierarchies(proc)
    found: list[ControlGroup] = []
    if parents := cgroup_v1.find_parents(hierarchies, wanted):
        found.append(cgroup_v1.ControlGroupV1(parents, name))
    if parent := cgroup_v2.find_parent(hierarchies, wanted):
        found.append(cgroup_v2.ControlGroupV2(parent, name))
    return max(found, key=lambda group: len(group.controllers), default=None)


class Resources:
    """The limits of one environment, from `open` to `close`. Called from the event loop's thread."""

    def __init__(self, memory_mb: int, group: ControlGroup | None, quota: CpuQuota | None) -> None:
        self._max_bytes = memory_mb * MB
        self._group = group
        self._quota = quota
        self._kills = 0
        self._is_over = False
        self._mover = Mover(group) if group is not None else None
        atexit.register(self.close)

    @classmethod
    def open(
        cls,
        memory_mb: int,
        cpu: str,
        workspace: Workspace,
        *,
        own_tmp_mb: int = 0,
        tmp: Path = Path("/tmp"),  # noqa: S108 - Lambda's, and the processes' own
        find: Find = find_group,
    ) -> Resources:
        """Make the environment's group, where one is allowed.

        `tmp` is what its processes see as `/tmp`; or they have their own, in memory, of `own_tmp_mb`.
        Raises `EnvironmentStartError` when `cpu` is ``lambda`` and nothing here can keep a share.
        """
        wanted = frozenset({MEMORY, CPU} if cpu == LAMBDA else {MEMORY})
        group = find(workspace.path.name, wanted)
        if group is not None:
            workspace.bind_control_groups(group.paths)
            tmp_bytes = own_tmp_mb * MB or (_TMP_BYTES if is_in_memory(tmp) else 0)
            room = _KERNEL_ROOM_BYTES + tmp_bytes
            group = _made(group, memory_mb * MB + room)
        if cpu == LAMBDA and _is_missing_cpu(group):
            raise EnvironmentStartError("; ".join(_NO_SHARE))
        return cls(memory_mb, group, cpu_quota(memory_mb) if cpu == LAMBDA else None)

    @property
    def group(self) -> ControlGroup | None:
        """What the kernel keeps; None where the processes are only watched."""
        return self._group

    def adopt(self, processes: Mapping[int, int]) -> None:
        """Put processes (pid and start time) under the limits, soon. Those already there are left alone."""
        if self._mover is not None:
            self._mover.move(processes)

    def init_ended(self) -> None:
        """From here on the share holds: on Lambda an init has the processors to itself."""
        if self._group is not None and self._quota is not None:
            self._group.limit_cpu(self._quota)

    def may_be_exceeded(self, resident_bytes: int) -> bool:
        """Whether `is_exceeded` can be true, by a figure that counts more."""
        return resident_bytes > self._max_bytes

    def is_exceeded(self, held_bytes: int) -> bool:
        """Whether the processes hold more than the function's memory."""
        self._is_over = held_bytes > self._max_bytes
        return self._is_over

    def kernel_has_killed(self) -> bool:
        """Whether the kernel killed a process for want of memory since this was last asked.

        Not where `is_exceeded` has just said so: that is one event, which both of us saw.
        """
        if self._group is None or MEMORY not in self._group.controllers:
            return False
        kills = self._kills
        with contextlib.suppress(OSError):
            self._kills = self._group.kernel_kills()
        return self._kills > kills and not self._is_over

    def close(self) -> None:
        """Remove the group and end what is still in it. May be called twice."""
        atexit.unregister(self.close)
        if self._mover is not None:
            self._mover.close()
        if self._group is not None:
            cgroups.remove(self._group.paths)


def _made(group: ControlGroup, memory_bytes: int) -> ControlGroup | None:
    """The group with its limit, or None where the kernel refused: then watching has to do."""
    try:
        group.create()
        if MEMORY in group.controllers:
            group.limit_memory(memory_bytes)
    except OSError:
        cgroups.remove(group.paths)
        return None
    return group


def is_in_memory(folder: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether what is written to a folder takes memory instead of a disk."""
    kinds: dict[Path, str] = {}
    with contextlib.suppress(OSError):
        for line in mountinfo.read_text().splitlines():
            before, _, after = line.partition(" - ")
            kinds[Path(before.split()[4])] = after.split()[0]
    resolved = folder.resolve()
    return next((kinds[place] in _IN_MEMORY for place in (resolved, *resolved.parents) if place in kinds), False)
