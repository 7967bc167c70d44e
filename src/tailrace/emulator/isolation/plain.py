"""Process isolation: plain children of this process, who see the machine as it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailrace.emulator.isolation.starting import Attach, ExitHandler, start_error
from tailrace.emulator.processes import procfs


@dataclass(slots=True, eq=False)
class _Child:
    popen: subprocess.Popen[bytes]
    on_exit: ExitHandler
    pidfd: int = -1


class PlainStarter:
    """Starts children in process groups of their own. Everything is called on the event loop's thread."""

    ancestor = None

    def __init__(self, working_dir: Path) -> None:
        self._working_dir = working_dir
        self._children: set[_Child] = set()
        self._loop = asyncio.get_running_loop()

    def start(
        self, command: Sequence[str], environ: Mapping[str, str], output_fd: int, on_exit: ExitHandler, attach: Attach
    ) -> int:
        try:
            popen = subprocess.Popen(
                list(command),
                env=dict(environ),
                cwd=self._working_dir,
                stdin=subprocess.DEVNULL,
                stdout=output_fd,
                stderr=output_fd,
                process_group=0,
            )
        except OSError as error:
            said = error.strerror or str(error)
            raise start_error(error.errno or 0, said, Path(command[0]).exists()) from error
        self._attach(popen.pid, attach)
        child = _Child(popen, on_exit)
        self._children.add(child)
        self._watch(child)
        return popen.pid

    def _attach(self, pid: int, attach: Attach) -> None:
        """A child is one already when we hear of it: what it may have started in that instant is attached as well."""
        attach(pid)
        for descendant in procfs.descendants(pid):
            attach(descendant)

    def _watch(self, child: _Child) -> None:
        try:
            child.pidfd = os.pidfd_open(child.popen.pid)
        except OSError:  # an old kernel, or a container that forbids the call
            threading.Thread(target=self._wait_in_thread, args=(child,), daemon=True).start()
        else:
            self._loop.add_reader(child.pidfd, self._ended, child)

    def _wait_in_thread(self, child: _Child) -> None:
        os.waitid(os.P_PID, child.popen.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._ended, child)

    def _ended(self, child: _Child) -> None:
        if child not in self._children:
            return
        status = child.popen.wait()
        self._forget(child)
        child.on_exit(status)

    def _forget(self, child: _Child) -> None:
        self._children.discard(child)
        if child.pidfd >= 0:
            self._loop.remove_reader(child.pidfd)
            os.close(child.pidfd)
            child.pidfd = -1

    def close(self) -> None:
        for child in tuple(self._children):
            self._forget(child)
