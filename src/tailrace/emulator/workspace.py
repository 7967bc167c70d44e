"""One environment's own folder, and cleaning up after an emulator that was killed.

The folders lie in one private folder of the user below the system's temporary folder. Whoever uses one holds
a lock on a file in it, which the kernel gives back however the holder ends. So a folder without a holder
belongs to an emulator that could not clean up; the processes that it lists are ended and the folder removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import select
import shutil
import signal
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tailrace.emulator.isolation.namespace import Namespaces
from tailrace.emulator.limits import cgroups
from tailrace.emulator.processes import procfs
from tailrace.emulator.processes.process_tree import send
from tailrace.errors import EnvironmentStartError

_LOCK = "lock"
_STATE = "state.json"
_PREFIX = "environment-"
_GONE_WITHIN_S = 1.0


def runtime_dir() -> Path:
    """The user's folder for environments: private, made when missing.

    Raises `EnvironmentStartError` when something else is in its place: what lies there names processes to kill.
    """
    path = Path(tempfile.gettempdir()) / f"tailrace-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise EnvironmentStartError(
            f"{path} is not a private folder of this user; remove it, or set TMPDIR to another place"
        )
    return path


class Workspace:
    """The folder of one environment: merged layers, the agent's spool, and the list of its processes."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self._lock_fd = lock_fd
        self._api_address = ""
        self._namespaces: Namespaces | None = None
        self._control_groups: tuple[Path, ...] = ()

    @classmethod
    def create(cls, parent: Path | None = None) -> Workspace:
        """A new, empty, locked folder. Cleans up after killed emulators first."""
        parent = parent or runtime_dir()
        clean_up(parent)
        # made and locked under another name, so that a clean-up never sees it unlocked
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
        lock_fd = os.open(fresh / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock_fd, fcntl.LOCK_EX)
        path = fresh.rename(parent / f"{_PREFIX}{secrets.token_hex(8)}")
        return cls(path, lock_fd)

    @property
    def opt_dir(self) -> Path:
        """Where layers are merged: what the deployed function sees as `/opt`."""
        return self.path / "opt"

    @property
    def spool_dir(self) -> Path:
        return self.path / "spool"

    def begin_namespaces(self) -> Namespaces:
        """Namespaces for the environment that is going to use this folder: begun early, they are ready in time."""
        if self._namespaces is None:
            self._namespaces = Namespaces()
        return self._namespaces

    def take_namespaces(self) -> Namespaces:
        """Hand them over to who closes them; `close` here closes them only until then."""
        namespaces = self.begin_namespaces()
        self._namespaces = None
        return namespaces

    def bind_address(self, api_address: str) -> None:
        """Which in-sandbox API the environment's processes were told of, to know them by."""
        self._api_address = api_address
        self.record({})

    def bind_control_groups(self, paths: Sequence[Path]) -> None:
        """Which control groups are about to be made for this environment; each bears the folder's name."""
        self._control_groups = tuple(paths)
        self.record({})

    def record(self, processes: Mapping[int, int]) -> None:
        """Write down the environment's processes (pid and start time), in place of what stood there."""
        groups = [str(path) for path in self._control_groups]
        state = {"apiAddress": self._api_address, "processes": list(processes.items()), "controlGroups": groups}
        text = json.dumps(state)
        draft = self.path / f"{_STATE}.new"
        draft.write_text(text)
        draft.replace(self.path / _STATE)

    def close(self) -> None:
        """Remove the folder and its control groups and give up the lock. May be called twice."""
        if self._lock_fd < 0:
            return
        if self._namespaces is not None:
            self._namespaces.close()
        cgroups.remove(self._control_groups)
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock_fd)
        self._lock_fd = -1

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def clean_up(parent: Path | None = None) -> int:
    """End what killed emulators left running and remove their folders. Returns how many there were."""
    parent = parent or runtime_dir()
    dead = [(path, lock_fd) for path in parent.glob(f"{_PREFIX}*") if (lock_fd := _lock_if_free(path)) is not None]
    if not dead:
        return 0
    living = {_state(path)[0] for path in parent.glob(f"{_PREFIX}*") if path not in {path for path, _ in dead}}
    for path, lock_fd in dead:
        address, processes = _state(path)
        _end_processes(processes, address if address not in living else "")
        cgroups.remove(_control_groups(path))
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock_fd)
    return len(dead)


def _lock_if_free(path: Path) -> int | None:
    try:
        lock_fd = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock_fd)
        return None
    return lock_fd


def _state(path: Path) -> tuple[str, dict[int, int]]:
    try:
        state = json.loads((path / _STATE).read_text())
        return state["apiAddress"], {int(pid): int(start) for pid, start in state["processes"]}
    except (OSError, ValueError, KeyError, TypeError):
        return "", {}


def _control_groups(path: Path) -> list[Path]:
    """Those that were made for the environment and are still there; nothing else, whatever the file says."""
    try:
        groups = [Path(text) for text in json.loads((path / _STATE).read_text())["controlGroups"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [group for group in groups if group.name == cgroups.PREFIX + path.name and cgroups.is_control_group(group)]


def _end_processes(processes: Mapping[int, int], api_address: str) -> None:
    """Kill the listed processes that are still the same ones, their descendants, and whoever bears the address."""
    while True:
        alive = [pid for pid, start in processes.items() if _is_same(pid, start)]
        found = set(alive).union(*(procfs.descendants(pid) for pid in alive))
        if api_address:
            found |= {pid for pid in procfs.all_pids() if pid != os.getpid() and _bears(pid, api_address)}
        if not found:
            return
        for pid in found:
            send(pid, signal.SIGSTOP)
        if found == _remaining(found):
            for pid in found:
                send(pid, signal.SIGKILL)
            _wait_until_gone(found)
            return


def _remaining(found: set[int]) -> set[int]:
    """`found`, plus what it started until it was stopped."""
    return found.union(*(procfs.descendants(pid) for pid in found))


def _wait_until_gone(pids: set[int]) -> None:
    fds = []
    for pid in pids:
        with contextlib.suppress(OSError):
            fds.append(os.pidfd_open(pid))
    with contextlib.ExitStack() as stack:
        for fd in fds:
            stack.callback(os.close, fd)
        for fd in fds:
            select.select([fd], [], [], _GONE_WITHIN_S)


def _is_same(pid: int, start_ticks: int) -> bool:
    status = procfs.stat(pid)
    return status is not None and status.start_ticks == start_ticks and not status.is_dead


def _bears(pid: int, api_address: str) -> bool:
    if procfs.environment_value(pid, "AWS_LAMBDA_RUNTIME_API") != api_address:
        return False
    status = procfs.stat(pid)
    return status is not None and not status.is_dead
