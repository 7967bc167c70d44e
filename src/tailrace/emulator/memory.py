"""How much memory the processes of an environment use, measured so that it may be asked often."""

from __future__ import annotations

from collections.abc import Iterable

from tailrace.emulator import procfs


class MemoryMeter:
    """The sum of the proportional set sizes of a set of processes.

    The kernel walks a process's whole address space for that figure, so it is asked for again only when the
    resident size, which costs next to nothing, has changed.
    """

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, procfs.SetSize]] = {}

    def measure(self, pids: Iterable[int]) -> int:
        """Bytes. Processes that are gone count nothing."""
        now: dict[int, tuple[int, procfs.SetSize]] = {}
        for pid in pids:
            pages = procfs.rss_pages(pid)
            if pages is None:
                continue
            last = self._last.get(pid)
            if last is None or last[0] != pages:
                last = (pages, procfs.set_size(pid))
            now[pid] = last
        self._last = now
        return sum(size.n_bytes for _, size in now.values())

    @property
    def held_bytes(self) -> int:
        """Of what was measured last, the part that the kernel could not take back: all but pages of mapped files.

        It is this part that a limit is about. A program that maps a file larger than its memory lives.
        """
        return sum(size.held_bytes for _, size in self._last.values())
