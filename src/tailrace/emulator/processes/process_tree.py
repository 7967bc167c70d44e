"""Which processes belong to an environment, found through `/proc`, and stopping or ending them all.

Everything that our processes start hangs below us: a child stays below its parent, and an orphan falls to
us because we are the subreaper. So the tree below this process holds them all, whatever session or group
they moved to. It also holds children that are not ours to touch (another environment's, the host
program's); those bear none of our marks.

In a PID namespace it is simpler: its first process, the ancestor, is the one to whom orphans fall and who reaps
them, and nothing else hangs below it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable

from tailrace.emulator.processes import limit_mark, procfs

_MAX_ROUNDS = 200
_MAX_LOOKS = 100


class ProcessTree:
    """The processes of one environment: those below `ancestor`, or below this process where that is None."""

    def __init__(self, ancestor: int | None = None) -> None:
        self._has_namespace = ancestor is not None
        self._top = os.getpid() if ancestor is None else ancestor
        self._mains: set[int] = set()
        self._marks: dict[int, int] = {}
        self._known: dict[int, int] = {}
        self._owner: dict[int, int] = {}

    def add_main(self, pid: int) -> None:
        """A process that we started ourselves, just now."""
        if not self._mains:  # what was marked before has been ended; it only wants reaping
            self.scan()
            self._marks.clear()
        mark = limit_mark.put_on(pid)
        if mark is not None:
            self._marks[mark] = pid
        self._mains.add(pid)
        self._remember(pid, pid)

    def remove_main(self, pid: int) -> None:
        """It ended and was reaped. What it left behind stays in the tree."""
        self._mains.discard(pid)
        self._known.pop(pid, None)

    @property
    def known(self) -> dict[int, int]:
        """Pid and start time of every process seen so far and not known to be gone."""
        return dict(self._known)

    def scan(self) -> list[int]:
        """Every process of the environment now, zombies left out; orphans that ended are reaped."""
        found: list[int] = []
        for pid in procfs.children(self._top):
            if pid in self._mains:
                found.append(pid)
                found += self._below(pid, pid)
            elif self._is_our_orphan(pid):
                found.append(pid)
                found += self._below(pid, self._owner.get(pid, 0))
        alive = set(found)
        for pid in [pid for pid in self._known if pid not in alive]:
            del self._known[pid]
            self._owner.pop(pid, None)
        return found

    def _below(self, pid: int, owner: int) -> list[int]:
        found = procfs.descendants(pid)
        for child in found:
            if child not in self._known:
                self._remember(child, owner)
        return found

    def _remember(self, pid: int, owner: int) -> None:
        stat = procfs.stat(pid)
        if stat is not None:
            self._known[pid] = stat.start_ticks
            self._owner[pid] = owner

    def _is_our_orphan(self, pid: int) -> bool:
        """Whether an orphan belongs here and still runs."""
        stat = procfs.stat(pid)
        if stat is None:
            return False
        if self._known.get(pid) != stat.start_ticks:
            owner = self._marks.get(limit_mark.of(pid) or 0)
            if owner is None and not self._has_namespace:
                return False
            self._owner[pid] = owner or 0
            self._known[pid] = stat.start_ticks
        if stat.is_dead and not self._has_namespace:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return not stat.is_dead

    def started_by(self, main: int) -> list[int]:
        """The process `main` and everything that it started, as far as that was seen."""
        members = self.scan()
        return [pid for pid in members if pid == main or self._owner.get(pid) == main]

    def stop(self, select: Callable[[], Iterable[int]] | None = None) -> None:
        """Stop every process, and go on until none is left that runs or was started meanwhile."""
        select = select or self.scan
        stopped: set[int] = set()
        for _ in range(_MAX_ROUNDS):
            running = [pid for pid in select() if pid not in stopped]
            if not running:
                return
            for pid in running:
                send(pid, signal.SIGSTOP)
            # only a look at the tree that begins when all known ones have stopped can find the last of them
            stopped.update(pid for pid in running if _stops_soon(pid))

    def resume(self) -> None:
        """Let every process go on. Those are the ones that `stop` found last: none has started since."""
        for pid in tuple(self._known):
            send(pid, signal.SIGCONT)

    def kill(self, main: int | None = None) -> None:
        """End a process with everything it started, or (None) all of them. Nobody escapes by forking."""
        select = self.scan if main is None else lambda: self.started_by(main)
        self.stop(select)
        for pid in select():
            send(pid, signal.SIGKILL)


def _stops_soon(pid: int) -> bool:
    """Wait for a signalled process to stop; not for long, as one may hang in the kernel meanwhile."""
    for look in range(_MAX_LOOKS):
        stat = procfs.stat(pid)
        if stat is None or stat.is_stopped:
            return True
        if look > 1:
            time.sleep(0)
    return False


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
