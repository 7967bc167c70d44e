"""Moves processes into a control group without making anybody wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping

from tailrace.emulator.limits import cgroups
from tailrace.emulator.limits.cgroups import ControlGroup
from tailrace.emulator.processes import procfs


class Mover:
    """A thread of its own: the kernel takes about 10 ms for a move after a quiet time, and the event loop would
    stand still meanwhile. The process runs on; what it starts before it is moved is told of later and moved then.
    """

    def __init__(self, group: ControlGroup) -> None:
        self._group = group
        self._waiting: queue.SimpleQueue[dict[int, int] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._told: dict[int, int] = {}

    def move(self, processes: Mapping[int, int]) -> None:
        """Move these (pid and start time), soon."""
        new = {pid: start for pid, start in processes.items() if self._told.get(pid) != start}
        self._told = dict(processes)
        if not new:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tailrace-cgroup", daemon=True)
            self._thread.start()
        self._waiting.put(new)

    def close(self) -> None:
        """Finish what was asked for. May be called twice."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (processes := self._waiting.get()) is not None:
            present = set(cgroups.members(self._group.paths[0]))
            for pid in processes.keys() - present:
                self._move(pid, processes[pid])

    def _move(self, pid: int, start_ticks: int) -> None:
        stat = procfs.stat(pid)
        if stat is None or stat.start_ticks != start_ticks or stat.is_dead:
            return
        try:
            self._group.add(pid)
        except OSError:  # it has just ended, or the system forbids it: it is watched in any case
            return
