"""Which processes belong to an environment, found through `/proc`, and stopping or ending them all.

Everything that our processes start hangs below us: a child stays below its parent, and an orphan falls to
us because we are the subreaper. So the tree below this process holds them all, whatever session or group
they moved to. It also holds children that are not ours to touch (another environment's, the host
program's); those are told apart once and remembered.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable

from tailrace.emulator import procfs

_MAX_ROUNDS = 200
_MAX_LOOKS = 100


class ProcessTree:
    """The processes of one environment.

    `api_address` stands in the environment variables of every one of them that did not clear them.
    """

    def __init__(self, api_address: str) -> None:
        self._api_address = api_address
        self._mains: set[int] = set()
        self._departed: set[int] = set()
        self._pipes: dict[int, int] = {}
        self._known: dict[int, procfs.ProcessStat] = {}
        self._foreign: dict[int, int] = {}
        self._owner: dict[int, int] = {}
        self._own_pid = os.getpid()

    def add_main(self, pid: int, pipe_inode: int) -> None:
        """A process that we started ourselves."""
        self._pipes[pipe_inode] = pid
        self._mains.add(pid)
        self._remember(pid, pid)

    def remove_main(self, pid: int) -> None:
        """It ended and was reaped. What it left behind stays in the tree."""
        self._mains.discard(pid)
        self._departed.add(pid)
        self._known.pop(pid, None)

    @property
    def has_mains(self) -> bool:
        return bool(self._mains)

    @property
    def known(self) -> dict[int, int]:
        """Pid and start time of every process seen so far and not known to be gone."""
        return {pid: stat.start_ticks for pid, stat in self._known.items()}

    def scan(self) -> list[int]:
        """Every process of the environment now, zombies left out; orphans that ended are reaped."""
        found: list[int] = []
        for pid in procfs.children(self._own_pid):
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
            self._known[pid] = stat
            self._owner[pid] = owner

    def _is_our_orphan(self, pid: int) -> bool:
        stat = procfs.stat(pid)
        if stat is None or self._foreign.get(pid) == stat.start_ticks:
            return False
        known = self._known.get(pid)
        ours = known is not None and known.start_ticks == stat.start_ticks
        if not ours:
            ours = self._bears_our_mark(stat)
            if not ours:
                self._foreign[pid] = stat.start_ticks
                return False
            self._owner[pid] = self._likely_owner(stat)
            self._known[pid] = stat
        if stat.is_dead:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            return False
        return True

    def _bears_our_mark(self, stat: procfs.ProcessStat) -> bool:
        """Whether an orphan is ours. A zombie has neither variables nor pipes any more, but still its group."""
        groups = self._mains | self._departed
        for known in self._known.values():
            groups |= {known.group, known.session}
        groups -= {os.getpgrp(), os.getsid(0)}
        return (
            bool({stat.group, stat.session} & groups)
            or procfs.environment_value(stat.pid, "AWS_LAMBDA_RUNTIME_API") == self._api_address
            or bool(procfs.output_pipes(stat.pid) & self._pipes.keys())
        )

    def _likely_owner(self, stat: procfs.ProcessStat) -> int:
        """Which of our processes started an orphan that was never seen below it; 0 where nothing tells."""
        if stat.group in self._mains:
            return stat.group
        for pid, known in self._known.items():
            if stat.session == known.session and stat.session != os.getsid(0):
                return self._owner.get(pid, 0)
        return next((self._pipes[inode] for inode in procfs.output_pipes(stat.pid) if inode in self._pipes), 0)

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
        if not self._mains:
            self._departed.clear()


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
