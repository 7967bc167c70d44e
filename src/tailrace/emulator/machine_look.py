"""Looks at this machine by trying things for real, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tailrace.emulator.capabilities import GroupFacts, MachineFacts
from tailrace.emulator.deployment.interpreter import find_interpreter
from tailrace.emulator.deployment.node_client import find_client
from tailrace.emulator.isolation.choice import attempt
from tailrace.emulator.limits import cgroups
from tailrace.emulator.limits.cgroups import CPU, MEMORY, ControlGroup
from tailrace.emulator.limits.resources import MB, cpu_quota, find_group
from tailrace.emulator.processes import procfs, subreaper
from tailrace.emulator.processes.process_tree import ProcessTree
from tailrace.emulator.workspace import Workspace, clean_up, runtime_dir
from tailrace.errors import EnvironmentStartError, UsageError

_SETTINGS = (
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
    "user.max_user_namespaces",
)
_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
_WITHIN_S = 10.0


def look(host: Mapping[str, str] = os.environ) -> MachineFacts:
    """Everything that there is to judge. `host` are this process's variables. Takes a second at most."""
    python = find_interpreter(None)
    node_version, node_client, node_failure = _node(host)
    folder, folder_failure, free_bytes, n_leftovers = _folder()
    isolation = attempt()
    return MachineFacts(
        kernel=platform.release(),
        python=platform.python_version(),
        executable=sys.executable,
        has_runtime_client=python.has_runtime_client,
        node_version=node_version,
        node_client=node_client,
        node_failure=node_failure,
        namespaces_missing=isolation.missing,
        namespaces_without_user=isolation.no_user,
        settings=read_settings(),
        is_root=os.geteuid() == 0,
        is_container=any(Path(mark).exists() for mark in _CONTAINER_MARKS) or "container" in host,
        group=GroupFacts() if folder_failure else _group(),
        process_failure=_process_failure(),
        has_pidfd=_has_pidfd(),
        has_shared_memory_sizes=Path("/proc/self/smaps_rollup").exists(),
        folder=folder,
        folder_failure=folder_failure,
        free_bytes=free_bytes,
        listen_failure=_listen_failure(),
        has_uvloop=importlib.util.find_spec("uvloop") is not None,
        n_leftovers=n_leftovers,
    )


def read_settings(root: Path = Path("/proc/sys")) -> dict[str, str]:
    """The kernel's settings about namespaces; those that this kernel does not know are left out."""
    found: dict[str, str] = {}
    for name in _SETTINGS:
        with contextlib.suppress(OSError):
            found[name] = (root / name.replace(".", "/")).read_text().strip()
    return found


def _node(host: Mapping[str, str]) -> tuple[str, str, str]:
    """Version, folder of the client, and what is wrong with the executable."""
    node = shutil.which("node", path=host.get("PATH"))
    if node is None:
        return "", "", ""
    try:
        result = subprocess.run(
            [node, "--version"], env={}, capture_output=True, text=True, timeout=_WITHIN_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return "", "", f"{node} does not work as Node.js: {error}"
    match = re.match(r"v([\d.]+)", result.stdout)
    if match is None:
        return "", "", f"{node} does not say a version of Node.js"
    try:
        client = find_client(None, [Path.cwd() / "node_modules"], Path(node), host)
    except UsageError:
        return match[1], "", ""
    return match[1], str(client.folder), ""


def _folder() -> tuple[str, str, int, int]:
    """Where environments' files lie, why not, how much fits there, and how many dead environments were removed."""
    try:
        folder = runtime_dir()
        n_leftovers = clean_up(folder)
        with Workspace.create(folder):
            return str(folder), "", shutil.disk_usage(folder).free, n_leftovers
    except EnvironmentStartError as error:
        return "", str(error), 0, 0
    except OSError as error:
        return "", f"cannot write to {error.filename}: {error.strerror}", 0, 0


def _group() -> GroupFacts:
    """Try a control group with a process in it, first with all that is wanted, then with memory alone."""
    trees = cgroups.find_hierarchies()
    mounted = max((tree.version for tree in trees if tree.controllers & {MEMORY, CPU}), default=0)
    error = ""
    for wanted in (frozenset({MEMORY, CPU}), frozenset({MEMORY}), frozenset({CPU})):
        with Workspace.create() as workspace:  # a killed doctor's group is found and removed by the next start
            group = find_group(workspace.path.name, wanted)
            if group is None:
                continue
            workspace.bind_control_groups(group.paths)
            failure = _trial(group)
        if not failure:
            return GroupFacts(group.version, group.controllers, mounted)
        error = error or failure
    return GroupFacts(mounted=mounted, error=error)


def _trial(group: ControlGroup) -> str:
    """What the kernel says against this group; nothing when it takes limits and a process."""
    try:
        with _child() as child:
            group.create()
            if MEMORY in group.controllers:
                group.limit_memory(128 * MB)
                group.kernel_kills()
            if CPU in group.controllers:
                group.limit_cpu(cpu_quota(128))
                group.throttled_periods()
            group.add(child.pid)
    except OSError as error:
        return error.strerror or str(error)
    return ""


@contextlib.contextmanager
def _child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing until it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import time; time.sleep(1000)"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _process_failure() -> str:
    """Start a process, freeze it, let it go on and end it, as an environment does."""
    try:
        subreaper.acquire()
    except OSError as error:
        return f"not allowed to be the one that orphans fall to ({error.strerror})"
    try:
        with _child() as child:
            tree = ProcessTree()
            tree.add_main(child.pid)
            tree.stop()
            stat = procfs.stat(child.pid)
            if stat is None or not stat.is_stopped:
                return "a process does not stop when it is told to"
            tree.kill()
            if child.wait(_WITHIN_S) != -signal.SIGKILL:
                return "a process does not end when it is killed"
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    finally:
        subreaper.release()
    return ""


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _listen_failure() -> str:
    try:
        with socket.create_server(("127.0.0.1", 0)):
            return ""
    except OSError as error:
        return error.strerror or str(error)
