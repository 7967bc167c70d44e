"""Control groups, version 2 (kernel: admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailrace.emulator.limits.cgroups import CPU, MEMORY, PREFIX, CpuQuota, Hierarchy, flat_keyed, is_writable, members


@dataclass(frozen=True, slots=True)
class ParentV2:
    """A group below which ours can be made. `missing` are controllers that it must pass on first."""

    path: Path
    controllers: frozenset[str]
    missing: frozenset[str]


class ControlGroupV2:
    """A group below `parent`."""

    version = 2

    def __init__(self, parent: ParentV2, name: str) -> None:
        self._parent = parent
        self._folder = parent.path / f"{PREFIX}{name}"

    @property
    def controllers(self) -> frozenset[str]:
        return self._parent.controllers

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self._folder,)

    def create(self) -> None:
        for controller in sorted(self._parent.missing):
            (self._parent.path / "cgroup.subtree_control").write_text(f"+{controller}")
        self._folder.mkdir()

    def add(self, pid: int) -> None:
        (self._folder / "cgroup.procs").write_text(str(pid))

    def limit_memory(self, n_bytes: int) -> None:
        (self._folder / "memory.max").write_text(str(n_bytes))
        with contextlib.suppress(OSError):  # there is no such file where the kernel has no swap
            (self._folder / "memory.swap.max").write_text("0")

    def limit_cpu(self, quota: CpuQuota | None) -> None:
        text = f"{quota.quota_us} {quota.period_us}" if quota else "max"
        (self._folder / "cpu.max").write_text(text)

    def kernel_kills(self) -> int:
        return flat_keyed(self._folder / "memory.events", "oom_kill")

    def throttled_periods(self) -> int:
        return flat_keyed(self._folder / "cpu.stat", "nr_throttled")


def find_parent(hierarchies: Sequence[Hierarchy], wanted: frozenset[str]) -> ParentV2 | None:
    """The nearest group, from our own upwards, that has most of what is wanted and may pass it on.

    A session of systemd gives its user everything below `user@UID.service`: our own group holds processes and
    passes nothing on, one above it does. Above the last group that is ours to write, nothing is looked at.
    """
    best: ParentV2 | None = None
    for hierarchy in hierarchies:
        if hierarchy.version != 2:
            continue
        for folder in _upwards(hierarchy):
            found = _parent(folder, wanted)
            if found is not None and (best is None or len(found.controllers) > len(best.controllers)):
                best = found
    return best


def _upwards(hierarchy: Hierarchy) -> Iterator[Path]:
    folder = hierarchy.own
    was_writable = False
    while folder.is_relative_to(hierarchy.mount):
        writable = is_writable(folder)
        if was_writable and not writable:
            return
        if writable:
            yield folder
        was_writable = writable or was_writable
        folder = folder.parent


def _parent(folder: Path, wanted: frozenset[str]) -> ParentV2 | None:
    offered = _controllers(folder / "cgroup.controllers") & wanted
    passed_on = _controllers(folder / "cgroup.subtree_control") & wanted
    is_free = _is_true_root(folder) or not members(folder)
    may_pass_on = is_free and os.access(folder / "cgroup.subtree_control", os.W_OK)
    controllers = passed_on | (offered if may_pass_on else frozenset())
    return ParentV2(folder, controllers, controllers - passed_on) if controllers else None


def _controllers(path: Path) -> frozenset[str]:
    try:
        return frozenset(path.read_text().split()) & {MEMORY, CPU}
    except OSError:
        return frozenset()


def _is_true_root(folder: Path) -> bool:
    """The machine's own root group, which may hold processes and pass controllers on; a container's may not."""
    return not (folder / "cgroup.type").exists()
