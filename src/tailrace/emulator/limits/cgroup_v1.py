"""Control groups, version 1: one folder for each controller (kernel: admin-guide/cgroup-v1)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tailrace.emulator.limits.cgroups import CPU, MEMORY, PREFIX, CpuQuota, Hierarchy, flat_keyed, is_writable


class ControlGroupV1:
    """A group below `parents`: the folder to make it in, by controller."""

    version = 1

    def __init__(self, parents: Mapping[str, Path], name: str) -> None:
        self._folders = {controller: parent / f"{PREFIX}{name}" for controller, parent in parents.items()}

    @property
    def controllers(self) -> frozenset[str]:
        return frozenset(self._folders)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(self._folders.values()))

    def create(self) -> None:
        for folder in self.paths:
            folder.mkdir()

    def add(self, pid: int) -> None:
        for folder in self.paths:
            (folder / "cgroup.procs").write_text(str(pid))

    def limit_memory(self, n_bytes: int) -> None:
        folder = self._folders[MEMORY]
        (folder / "memory.limit_in_bytes").write_text(str(n_bytes))
        with contextlib.suppress(OSError):  # swap is not accounted on every kernel
            (folder / "memory.memsw.limit_in_bytes").write_text(str(n_bytes))

    def limit_cpu(self, quota: CpuQuota | None) -> None:
        folder = self._folders[CPU]
        if quota is not None:
            (folder / "cpu.cfs_period_us").write_text(str(quota.period_us))
        (folder / "cpu.cfs_quota_us").write_text(str(quota.quota_us if quota else -1))

    def kernel_kills(self) -> int:
        return flat_keyed(self._folders[MEMORY] / "memory.oom_control", "oom_kill")

    def throttled_periods(self) -> int:
        return flat_keyed(self._folders[CPU] / "cpu.stat", "nr_throttled")


def find_parents(hierarchies: Sequence[Hierarchy], wanted: frozenset[str]) -> dict[str, Path]:
    """Where groups can be made, by controller."""
    return {
        controller: hierarchy.own
        for hierarchy in hierarchies
        if hierarchy.version == 1 and is_writable(hierarchy.own)
        for controller in sorted(hierarchy.controllers & wanted)
    }
