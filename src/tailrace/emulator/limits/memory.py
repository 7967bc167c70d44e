"""How much memory the processes of an environment use, measured so that it may be asked often."""

from __future__ import annotations

from collections.abc import Iterable

from tailrace.emulator.processes import procfs


class MemoryMeter:
    """The sum of the proportional set sizes of a set of processes, until `close`.

    The kernel walks a process's whole address space for that figure, so it is asked for again only when the
    resident size, which costs next to nothing, has changed.
    """

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, procfs.SetSize]] = {}
        self._sizes: dict[int, procfs.ResidentSize] = {}

    def measure(self, pids: Iterable[int]) -> int:
        """Bytes. Processes that are gone count nothing."""
        now: dict[int, tuple[int, procfs.SetSize]] = {}
        n_bytes = 0
        for pid in pids:
            pages = self._pages(pid)
            if pages is None:
                continue
            last = self._last.get(pid)
            if last is None or last[0] != pages:
                last = (pages, procfs.set_size(pid))
            now[pid] = last
            n_bytes += last[1].n_bytes
        self._last = now
        for pid in self._sizes.keys() - now.keys():
            self._sizes.pop(pid).close()
        return n_bytes

    def resident(self, pids: Iterable[int]) -> int:
        """Bytes with shared pages counted each time: never too little, and cheap to know."""
        return sum(self._pages(pid) or 0 for pid in pids) * procfs.PAGE_BYTES

    @property
    def held_bytes(self) -> int:
        """Of what was measured last, the part that the kernel could not take back: all but pages of mapped files.

        It is this part that a limit is about. A program that maps a file larger than its memory lives.
        """
        return sum([size.held_bytes for _, size in self._last.values()])

    def close(self) -> None:
        for size in self._sizes.values():
            size.close()
        self._sizes.clear()

    def _pages(self, pid: int) -> int | None:
        """Resident pages; None of a process that is gone. A number may belong to another process by now."""
        size = self._sizes.get(pid)
        pages = size.pages() if size is not None else None
        if pages is None:
            if size is not None:
                self._sizes.pop(pid).close()
            size = procfs.ResidentSize.of(pid)
            if size is not None:
                self._sizes[pid] = size
                pages = size.pages()
        return pages
