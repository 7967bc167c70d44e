"""Resetting the TCP connections of processes from outside, as a network does that has forgotten them.

A descriptor of the other process is duplicated (`pidfd_getfd`, Linux 5.6) and its socket disconnected: the process
finds ECONNRESET at its next use, and its peer gets RST. That takes the right to trace the process, which a parent has
over its children unless a container forbids the call.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PIDFD_GETFD = 438
_ESTABLISHED, _CLOSE_WAIT = "01", "08"
_UNSPECIFIED = b"\0" * 16
"""An address of the family AF_UNSPEC: connecting to it disconnects."""

Endpoint = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Connection:
    local: Endpoint
    remote: Endpoint


def cut(pids: Iterable[int], keep_port: int, among: Iterable[int]) -> tuple[int, str]:
    """Reset the outbound TCP connections of `pids`: how many, and where one could not be, the reason.

    Those to `keep_port` of this machine (the in-sandbox API) stay, and those with both ends among the processes
    `among`: they never leave the sandbox. What came in to a port on which a process listens is not outbound.
    """
    inside: set[Endpoint] = set()
    listening: set[int] = set()
    for pid in among:
        table, ports = _sockets(pid)
        listening |= ports
        inside |= {table[inode].local for inode in _inodes(pid).values() if inode in table}
    n_cut, problem = 0, ""
    for pid in pids:
        table, _ = _sockets(pid)
        for descriptor, inode in _inodes(pid).items():
            connection = table.get(inode)
            if connection is None or connection.remote in inside or connection.local[1] in listening:
                continue
            if connection.remote[1] == keep_port:
                continue
            try:
                _disconnect(pid, descriptor)
                n_cut += 1
            except ProcessLookupError:
                continue
            except OSError as error:
                problem = (error.strerror or str(error)).lower()
    return n_cut, problem


def _inodes(pid: int) -> dict[int, str]:
    """Descriptors of a process that are sockets, and their inodes."""
    found: dict[int, str] = {}
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(entry.path)  # noqa: PTH115 - called for every descriptor of every process
                if target.startswith("socket:["):
                    found[int(entry.name)] = target[len("socket:[") : -1]
    return found


def _sockets(pid: int) -> tuple[dict[str, _Connection], set[int]]:
    """TCP connections by inode, and the ports on which somebody listens, as the network of a process has them."""
    connections: dict[str, _Connection] = {}
    listening: set[int] = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                parts = line.split()
                local, remote, state, inode = parts[1], parts[2], parts[3], parts[9]
                if state in (_ESTABLISHED, _CLOSE_WAIT):
                    connections[inode] = _Connection(_endpoint(local), _endpoint(remote))
                elif state == "0A":
                    listening.add(_endpoint(local)[1])
    return connections, listening


def _endpoint(text: str) -> Endpoint:
    """Address (the last 32 bits in hexadecimal, so that IPv4 in IPv6 compares) and port."""
    address, port = text.split(":")
    return address[-8:], int(port, 16)


def _disconnect(pid: int, descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        duplicate = libc.syscall(_PIDFD_GETFD, pidfd, descriptor, 0)
        _check(duplicate)
    finally:
        os.close(pidfd)
    try:
        _check(libc.connect(duplicate, _UNSPECIFIED, len(_UNSPECIFIED)))
    finally:
        os.close(duplicate)


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
