"""The first process of an environment's namespaces: sets them up, starts processes in them, reaps whatever ends.

Runs in an interpreter of its own, started by `tailrace.emulator.isolation.namespace`, and speaks with it over two
sockets in packets of `marshal`. It is the PID namespace's process 1, so the kernel ends all others with it; and it
ends with the emulator, by the kernel's signal and by the sockets' end. So nothing outlives a killed emulator: no
process, and with the last process no namespace and no mount.

Every environment waits for this: built-in modules only, and `ctypes`.
"""
# ruff: noqa: PTH102, PTH103, PTH106, PTH110, PTH123, PTH211 - pathlib would be most of what this process loads

from __future__ import annotations

import _socket
import marshal
import os
import select
import sys

from tailrace.emulator.isolation import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from typing import Any
else:
    import _signal  # what `signal` wraps in enumerations, which take long to make

MAX_PACKET_BYTES = 1 << 18
"""More than the kernel lets through in one packet."""

HOST = "/.host"
"""Where the machine's root is while the new one is furnished."""

UID = 993
GID = 990
USER = "sbx_user1051"
"""The runtime's user, as seen in Lambda's sandboxes."""

_INT_BYTES = 4
_MANY_BYTES = 4096


class FirstProcess:
    """`requests` is for questions and answers, one after the other; over `exits` it tells who has ended."""

    def __init__(self, requests: _socket.socket, exits: _socket.socket) -> None:
        self._requests = requests
        self._exits = exits
        self._mains: set[int] = set()

    def run(self) -> None:
        """Answer until the emulator is gone."""
        requests_fd, child_ended_fd = self._requests.fileno(), _readable_when_a_child_ends()
        poll = select.poll()
        poll.register(requests_fd, select.POLLIN)
        poll.register(child_ended_fd, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if child_ended_fd in ready:
                os.read(child_ended_fd, _MANY_BYTES)
                self._reap()
            if requests_fd in ready:
                self._answer()

    def _answer(self) -> None:
        request, fds = receive(self._requests)
        if request is None:
            os._exit(0)
        kind, *arguments = request
        if kind == "furnish":
            self._furnish(*arguments)
        else:
            self._start(fds[0], *arguments)
            os.close(fds[0])

    def _furnish(self, root: str, steps: list[tuple[str, ...]]) -> None:
        place = root
        try:
            kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
            os.mkdir(root + HOST)
            kernel.pivot_root(root, root + HOST)
            os.chdir("/")
            for step in steps:
                place = step[1]
                _STEPS[step[0]](*step[1:])
            kernel.unmount(HOST)
            os.rmdir(HOST)
            kernel.make_read_only("/")
        except OSError as error:
            send(self._requests, ("failed", error.errno, place))
        else:
            send(self._requests, ("furnished",))

    def _start(self, output_fd: int, command: list[str], environ: dict[str, str], working_dir: str) -> None:
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._become(command, environ, working_dir, output_fd, write_end)
        os.close(write_end)
        if not os.read(read_end, 1):  # closed by the kernel: another program runs in it now
            self._mains.add(pid)
            send(self._requests, ("started", pid))
        os.close(read_end)

    def _become(
        self, command: list[str], environ: dict[str, str], working_dir: str, output_fd: int, failed_fd: int
    ) -> None:
        """In the child: report, by which the emulator knows our pid; wait until limits are set; run the program."""
        program = command[0]
        place = working_dir
        try:
            send(self._requests, ("forked",))
            if receive(self._requests)[0] is None:
                os._exit(1)
            os.setpgid(0, 0)
            for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # ignored by Python, and that would be handed on
                _signal.signal(number, _signal.SIG_DFL)
            os.dup2(output_fd, 1)
            os.dup2(output_fd, 2)
            os.chdir(working_dir)
            place = program
            os.execve(program, command, environ)  # noqa: S606 - no shell is wanted
        except OSError as error:
            send(self._requests, ("failed", error.errno, place, os.path.exists(program)))
        os.write(failed_fd, b"x")
        os._exit(127)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._mains:
                self._mains.discard(pid)
                send(self._exits, (pid, os.waitstatus_to_exitcode(status)))


def _readable_when_a_child_ends() -> int:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    _signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    _signal.signal(_signal.SIGCHLD, lambda _number, _frame: None)
    return read_end


def _folder(path: str) -> None:
    os.makedirs(path, exist_ok=True)


def _file(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _link(path: str, target: str) -> None:
    os.symlink(target, path)


def _bind(path: str, source: str) -> None:
    kernel.mount(HOST + source, path, flags=kernel.MS_BIND | kernel.MS_REC)


def _tmpfs(path: str, options: str) -> None:
    kernel.mount("tmpfs", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)


_STEPS: dict[str, Callable[..., None]] = {
    "folder": _folder,
    "file": _file,
    "link": _link,
    "bind": _bind,
    "tmpfs": _tmpfs,
    "read-only": kernel.make_read_only,
    "tree-read-only": kernel.make_tree_read_only,
}


def send(sock: _socket.socket, packet: tuple[object, ...]) -> None:
    sock.send(marshal.dumps(packet))  # type: ignore[arg-type]  # numbers, texts, and lists of them


def receive(sock: _socket.socket) -> tuple[Any, list[int]]:
    """One packet and the descriptors that came with it; None at the end."""
    data, ancillary, _, _ = sock.recvmsg(MAX_PACKET_BYTES, _socket.CMSG_SPACE(_INT_BYTES), _socket.MSG_CMSG_CLOEXEC)
    fds: list[int] = []
    for level, kind, content in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            fds.append(int.from_bytes(content[:_INT_BYTES], sys.byteorder))
    return (marshal.loads(data) if data else None), fds  # noqa: S302 - the emulator's own words


def _stay_the_caller() -> None:
    """No user of its own, where only that is forbidden: the caller's, with the same rights to files, and no other.

    In a user namespace nothing inside has power over this machine; here, only what has no capability has none.
    """
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWPID)
    kernel.give_up_capabilities()


def _become_the_user() -> None:
    """One user and one group: whoever runs the emulator has the sandbox's numbers inside, and the same rights."""
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{UID} {uid} 1"), ("gid_map", f"{GID} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


OWN_USER, AS_CALLER = "own-user", "as-caller"
WAYS: dict[str, tuple[str, Callable[[], None]]] = {
    OWN_USER: ("user, mount and PID namespaces", _become_the_user),
    AS_CALLER: ("mount and PID namespaces", _stay_the_caller),
}
"""How processes may come to be in namespaces: what the kernel must allow, and what is done."""


def _look_inward() -> None:
    """What is mounted from here on stays here, and `/proc` shows the processes of these namespaces only."""
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)


def _attempt(requests: _socket.socket, what: str, action: Any) -> None:
    try:
        action()
    except OSError as error:
        send(requests, ("refused", what, error.errno))
        os._exit(1)


def main(requests_fd: int, exits_fd: int, way: str) -> None:
    """Both descriptors are sockets of whole packets, the emulator at their other end. `way` is one of `WAYS`."""
    requests, exits = _socket.socket(fileno=requests_fd), _socket.socket(fileno=exits_fd)
    for fd in (requests_fd, exits_fd):
        os.set_inheritable(fd, False)
    _attempt(requests, *WAYS[way])
    if os.fork():
        os._exit(0)  # the first child of a new PID namespace is its process 1; this one was never in it
    if receive(requests)[0] is None:  # sent when the emulator, being the subreaper, is our parent
        os._exit(1)
    kernel.die_with_parent(_signal.SIGKILL)
    _attempt(requests, "a /proc of their own", _look_inward)
    send(requests, ("ready",))
    FirstProcess(requests, exits).run()
