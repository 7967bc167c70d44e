"""The processes of one environment: started, heard, stopped, continued, ended."""

from __future__ import annotations

import asyncio
import atexit
import select
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tailrace.emulator.isolation.plain import PlainStarter
from tailrace.emulator.isolation.starting import Attach, ProcessStarter, ProcessStartError
from tailrace.emulator.limits.memory import MemoryMeter
from tailrace.emulator.processes import subreaper
from tailrace.emulator.processes.output import OutputPipe
from tailrace.emulator.processes.process_tree import ProcessTree, send

_GONE_WITHIN_S = 5.0
_LOOK_AGAIN_S = 0.001

__all__ = ["ProcessStartError", "Sandbox", "SandboxListener"]


class SandboxListener(Protocol):
    """What the sandbox reports, always from the event loop's thread."""

    def lines_written(self, process: str, generation: int, texts: Sequence[str]) -> None: ...

    def process_exited(self, process: str, generation: int, exit_code: int | None, signal_name: str | None) -> None: ...

    def processes_changed(self, processes: Mapping[int, int]) -> None:
        """Pid and start time of every process of the environment, whenever one was added."""


@dataclass(slots=True)
class _Main:
    name: str
    generation: int
    pid: int
    pipe: OutputPipe


def _no_limits(_pid: int) -> None:
    """Nobody limits this environment."""


class Sandbox:
    """Starts processes in groups of their own, reads what they print, and controls all that they start.

    Everything here is called from the event loop's thread. `close` (or the end of the interpreter) leaves
    no process behind.
    """

    def __init__(
        self,
        listener: SandboxListener,
        working_dir: Path,
        *,
        starter: ProcessStarter | None = None,
        attach: Attach | None = None,
    ) -> None:
        """`starter` is how processes come into being: plainly, in `working_dir`, unless given.

        `attach` is called with the pid of each process of ours, as seen from here, before it gets to do anything.
        """
        self._listener = listener
        subreaper.acquire()
        self._starter = starter or PlainStarter(working_dir)
        self._attach = attach or _no_limits
        self._tree = ProcessTree(self._starter.ancestor)
        self._meter = MemoryMeter()
        self._mains: dict[int, _Main] = {}
        self._pipes: dict[int, OutputPipe] = {}
        self._readable = select.poll()
        self._reported: dict[int, int] = {}
        self._loop = asyncio.get_running_loop()
        self._all_gone: asyncio.Event = asyncio.Event()
        self._all_gone.set()
        atexit.register(self._kill_all)

    def start(self, name: str, generation: int, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Start a process. Raises `ProcessStartError` when the operating system refuses."""
        pipe = OutputPipe(lambda texts: self._listener.lines_written(name, generation, texts))
        pids: list[int] = []
        try:
            pid = self._starter.start(
                command, environ, pipe.write_fd, lambda status: self._main_ended(pids[0], status), self._attach
            )
        except ProcessStartError:
            pipe.close()
            raise
        pids.append(pid)
        pipe.close_write_end()
        self._adopt(_Main(name, generation, pid, pipe))

    def _adopt(self, main: _Main) -> None:
        self._pipes[main.pipe.read_fd] = main.pipe
        self._readable.register(main.pipe.read_fd, select.POLLIN)
        self._loop.add_reader(main.pipe.read_fd, self._pipe_readable, main.pipe)
        self._tree.add_main(main.pid)
        self._mains[main.pid] = main
        self._all_gone.clear()
        self._report_processes()

    def _main_ended(self, pid: int, status: int) -> None:
        """It was reaped: its exit code, or minus the number of the signal."""
        main = self._mains[pid]
        self._forget(main)
        main.pipe.drain()
        exit_code, name = (status, None) if status >= 0 else (None, _signal_name(-status))
        self._listener.process_exited(main.name, main.generation, exit_code, name)

    def _forget(self, main: _Main) -> None:
        del self._mains[main.pid]
        self._tree.remove_main(main.pid)
        if not self._mains:
            self._tree.kill()
            self._all_gone.set()

    def _pipe_readable(self, pipe: OutputPipe) -> None:
        # one read a turn of the loop: a process that prints fast must not starve the delivery of what it printed
        pipe.read_some()
        if pipe.ended:
            self._forget_pipe(pipe)

    def _forget_pipe(self, pipe: OutputPipe) -> None:
        self._loop.remove_reader(pipe.read_fd)
        self._readable.unregister(pipe.read_fd)
        del self._pipes[pipe.read_fd]
        pipe.close()

    def drain(self) -> None:
        """Report every line that was written before this call.

        Called at every request, when mostly nothing was written: so all pipes are asked at once.
        """
        for fd, _ in self._readable.poll(0):
            pipe = self._pipes.get(fd)
            if pipe is not None:
                pipe.drain()

    def finish_line(self, name: str) -> None:
        """Report what a process has written of a line that it has not ended."""
        for main in self._mains.values():
            if main.name == name:
                main.pipe.finish_line()

    def signal(self, name: str, generation: int, signal_name: str) -> None:
        """Send a signal to a process and everything it started. ``SIGKILL`` leaves none of them."""
        for main in list(self._mains.values()):
            if (main.name, main.generation) != (name, generation):
                continue
            if signal_name == "SIGKILL":
                self._tree.kill(main.pid)
            else:
                for pid in self._tree.started_by(main.pid):
                    send(pid, signal.Signals[signal_name])

    def members(self, name: str = "") -> list[int]:
        """Pids of a process and everything it started, or (empty) of all."""
        if not name:
            return self._tree.scan()
        mains = [main.pid for main in self._mains.values() if main.name == name]
        return [pid for main in mains for pid in self._tree.started_by(main)]

    def freeze(self) -> None:
        """Stop everything; when this returns, nothing of the environment runs."""
        self._tree.stop()
        self._report_processes()

    def thaw(self) -> None:
        self._tree.resume()

    def measure_memory(self, *, rescan: bool = True) -> int:
        """Bytes in use by all processes together, shared pages counted once.

        Without `rescan` only the processes known so far count, which is quick enough for every request.
        """
        return self._meter.measure(self._tree.scan() if rescan else self._tree.known)

    @property
    def held_memory(self) -> int:
        """Of what was measured last, the bytes that the kernel could not take back."""
        return self._meter.held_bytes

    @property
    def resident_memory(self) -> int:
        """Bytes of the processes known so far, shared pages counted each time: never too little, and cheap to know."""
        return self._meter.resident(self._tree.known)

    @property
    def is_empty(self) -> bool:
        """Whether every process that was started has ended."""
        return not self._mains

    def _report_processes(self) -> None:
        known = self._tree.known
        if not known.keys() <= self._reported.keys():
            self._listener.processes_changed(known)
        self._reported = known

    def _kill_all(self) -> None:
        self._tree.kill()

    async def close(self) -> None:
        """End every process and wait until all are gone. Their exits are reported as usual."""
        try:
            async with asyncio.timeout(_GONE_WITHIN_S):
                self._kill_all()
                await self._all_gone.wait()
                while self._tree.scan():
                    self._kill_all()
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:  # one hangs in the kernel, where no signal reaches it: it ends when it comes back
            pass
        finally:
            self._release()

    def _release(self) -> None:
        for pipe in list(self._pipes.values()):
            self._forget_pipe(pipe)
        for main in list(self._mains.values()):
            self._forget(main)
        self._meter.close()
        self._starter.close()
        atexit.unregister(self._kill_all)
        subreaper.release()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"SIG{number}"
