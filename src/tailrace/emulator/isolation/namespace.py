"""Namespace isolation, seen from the emulator: one helper process for each environment that starts its processes."""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tailrace
from tailrace.emulator.isolation.first_process import AS_CALLER, MAX_PACKET_BYTES, OWN_USER
from tailrace.emulator.isolation.layout import Layout
from tailrace.emulator.isolation.starting import Attach, ExitHandler, ProcessStartError, start_error
from tailrace.emulator.processes import subreaper
from tailrace.errors import EnvironmentStartError

_CREDENTIALS = struct.Struct("3i")
_CAP_SYS_ADMIN = 21
_ANSWER_WITHIN_S = 20.0
_LAUNCH = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from tailrace.emulator.isolation.first_process import main; main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])"
)


class NamespaceRefusedError(Exception):
    """This machine does not allow it. `missing` says what, `reason` is the kernel's word."""

    def __init__(self, missing: str, reason: str) -> None:
        self.missing = missing
        self.reason = reason
        super().__init__(f"{missing}: {reason}")


class Namespaces:
    """Fresh user, mount and PID namespaces, and their first process. Made early: it needs some milliseconds to be
    there, which pass beside other work until `wait_until_ready` is called.

    Where user namespaces are refused and this process may do without (`CAP_SYS_ADMIN`), there is none: `no_user`
    says why, and processes are the caller without capabilities.
    """

    def __init__(self) -> None:
        subreaper.acquire()
        self.no_user = ""
        self._launch(OWN_USER)

    def _launch(self, way: str) -> None:
        self._requests, requests_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.exits, exits_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._requests.settimeout(_ANSWER_WITHIN_S)
        self.exits.setblocking(False)
        self.pid = 0
        self._refused: NamespaceRefusedError | None = None
        with requests_end, exits_end:
            fds = requests_end.fileno(), exits_end.fileno()
            self._launcher: subprocess.Popen[bytes] | None = subprocess.Popen(
                [sys.executable, "-I", "-S", "-E", "-c", _LAUNCH, _source_root(), *map(str, fds), way],
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=fds,
                process_group=0,
            )

    def wait_until_ready(self) -> None:
        """Raises `NamespaceRefusedError` where the machine does not allow them. May be called twice."""
        if self._launcher is not None:
            self._begin()
            first_refusal = self._refused
            if first_refusal is not None and may_do_without_a_user():
                self._close_sockets()
                self._launch(AS_CALLER)
                self._begin()
                if self._refused is None:
                    self.no_user = str(first_refusal)
                else:
                    self._refused = first_refusal
        if self._refused is not None:
            raise self._refused

    def _begin(self) -> None:
        launcher, self._launcher = self._launcher, None
        assert launcher is not None
        launcher.wait()
        try:
            with contextlib.suppress(OSError):  # it was refused: the answer says so
                self._send(("begin",))
            answer, pid = self._receive()
        except OSError as error:
            self._refused = NamespaceRefusedError("a helper process", error.strerror or str(error))
            return
        if answer[0] == "ready":
            self.pid = pid
            return
        self._refused = NamespaceRefusedError(answer[1], os.strerror(answer[2]))
        with contextlib.suppress(ChildProcessError):  # it never became one of ours
            os.waitpid(pid, 0)

    def furnish(self, layout: Layout, root: Path) -> None:
        """Put the sandbox's files in place. `root` is an empty folder here. Raises `EnvironmentStartError`."""
        self._send(("furnish", str(root), layout.steps))
        answer, _ = self._receive()
        if answer[0] == "failed":
            raise EnvironmentStartError(f"cannot set up {answer[2]} in namespaces: {os.strerror(answer[1])}")

    def start(
        self, command: Sequence[str], environ: Mapping[str, str], working_dir: str, output_fd: int, attach: Attach
    ) -> tuple[int, int]:
        """The new process's pid here and in its namespace. Raises `ProcessStartError`."""
        try:
            self._send(("start", list(command), dict(environ), working_dir), output_fd)
            _, pid = self._receive()
            attach(pid)
            self._send(("go",))
            answer, _ = self._receive()
        except OSError as error:
            raise ProcessStartError("ESRCH", "the environment's first process is gone") from error
        if answer[0] == "failed":
            _, number, place, program_exists = answer
            said = os.strerror(number) if place == command[0] else f"{os.strerror(number)}: {place}"
            raise start_error(number, said, program_exists and place == command[0])
        return pid, answer[1]

    def next_exit(self) -> tuple[int, int] | None:
        """Pid (in the namespace) and exit code, or minus the signal's number, of a process that has ended.

        None when all are told for now. Raises `ConnectionError` when the first process, and so everything, is gone.
        """
        try:
            data = self.exits.recv(MAX_PACKET_BYTES)
        except BlockingIOError:
            return None
        if not data:
            raise ConnectionResetError("the first process of the namespaces ended")
        pid, status = marshal.loads(data)  # noqa: S302 - our own process's
        return pid, status

    def close(self) -> None:
        """End everything in the namespaces; they vanish with the last process. May be called twice."""
        if self._requests.fileno() < 0:
            return
        with contextlib.suppress(NamespaceRefusedError):
            self.wait_until_ready()  # who they are must be known, to reap them
        self._close_sockets()
        if self.pid:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        subreaper.release()

    def _close_sockets(self) -> None:
        self._requests.close()
        self.exits.close()

    def _send(self, packet: tuple[object, ...], fd: int | None = None) -> None:
        data = marshal.dumps(packet)  # type: ignore[arg-type]  # numbers, texts, and lists of them
        if fd is None:
            self._requests.send(data)
        else:
            socket.send_fds(self._requests, [data], [fd])

    def _receive(self) -> tuple[Any, int]:
        """One packet, and its sender's pid as seen from here. Raises `ConnectionError` when nobody answers."""
        room = socket.CMSG_SPACE(_CREDENTIALS.size)
        data, ancillary, _, _ = self._requests.recvmsg(MAX_PACKET_BYTES, room)
        if not data:
            raise ConnectionResetError("the first process of the namespaces ended")
        pid = next(
            (
                _CREDENTIALS.unpack(content[: _CREDENTIALS.size])[0]
                for level, kind, content in ancillary
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS)
            ),
            0,
        )
        return marshal.loads(data), pid  # noqa: S302 - our own process's


def may_do_without_a_user(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process has `CAP_SYS_ADMIN`, by which mounts are made without a user namespace."""
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", status.read_text(), re.MULTILINE)
    return effective is not None and bool(int(effective[1], 16) >> _CAP_SYS_ADMIN & 1)


def _source_root() -> str:
    return str(Path(tailrace.__file__).parent.parent)


class NamespaceStarter:
    """Starts processes in furnished namespaces, which it closes at the end. For the event loop's thread."""

    def __init__(self, namespaces: Namespaces, working_dir: str) -> None:
        self._namespaces = namespaces
        self._working_dir = working_dir
        self._on_exit: dict[int, ExitHandler] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(namespaces.exits, self._some_ended)

    @property
    def ancestor(self) -> int:
        return self._namespaces.pid

    def start(
        self, command: Sequence[str], environ: Mapping[str, str], output_fd: int, on_exit: ExitHandler, attach: Attach
    ) -> int:
        pid, inner_pid = self._namespaces.start(command, environ, self._working_dir, output_fd, attach)
        self._on_exit[inner_pid] = on_exit
        return pid

    def _some_ended(self) -> None:
        try:
            while ended := self._namespaces.next_exit():
                inner_pid, status = ended
                if inner_pid in self._on_exit:  # else its program could not be started, which `start` has told
                    self._on_exit.pop(inner_pid)(status)
        except ConnectionError:  # killed from outside: the kernel has killed all others with it
            self._loop.remove_reader(self._namespaces.exits)
            for inner_pid in tuple(self._on_exit):
                self._on_exit.pop(inner_pid)(-signal.SIGKILL)

    def close(self) -> None:
        self._loop.remove_reader(self._namespaces.exits)
        self._namespaces.close()
