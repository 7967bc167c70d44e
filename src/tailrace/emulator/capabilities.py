"""What a machine can do for local environments, judged from plain facts about it: each point with a mark, and what to
do where it is not all it could be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tailrace.emulator.limits.cgroups import CPU, MEMORY

OK, LIMITED, MISSING = "ok", "limited", "missing"

TMP_WANTED_BYTES = 512 * 1_048_576
"""A function's `/tmp` holds as much (lambda-platform.md 3.8)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One point. `mark` is `OK`; `LIMITED`: everything runs, with less; or `MISSING`: functions do not run.

    `remedy` says what to do, and is empty where there is nothing to do.
    """

    name: str
    mark: str
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """How a trial with a real control group and a real process went. `controllers` is what it could limit.

    `mounted` is the version of the tree that has the controllers, 0 where there is none.
    """

    version: int = 0
    controllers: frozenset[str] = frozenset()
    mounted: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What was seen on a machine. Texts that tell of a failure are empty where there was none."""

    kernel: str
    python: str
    executable: str
    has_runtime_client: bool
    node_version: str
    node_client: str
    node_failure: str
    namespaces_missing: str
    namespaces_without_user: str = ""
    """Why processes in namespaces have no user of their own, where there are namespaces all the same."""
    settings: Mapping[str, str] = field(default_factory=dict)
    is_root: bool = False
    is_container: bool = False
    group: GroupFacts = field(default_factory=GroupFacts)
    process_failure: str = ""
    has_pidfd: bool = True
    has_shared_memory_sizes: bool = True
    folder: str = ""
    folder_failure: str = ""
    free_bytes: int = 0
    listen_failure: str = ""
    has_uvloop: bool = False
    n_leftovers: int = 0

    @property
    def isolation(self) -> str:
        """What `--isolation auto` takes here."""
        return "process" if self.namespaces_missing else "namespace"


def judge(machine: MachineFacts) -> tuple[Finding, ...]:
    """Every point, in the order in which they are told."""
    return tuple(finding for points in _POINTS for finding in points(machine))


def is_usable(findings: tuple[Finding, ...]) -> bool:
    """Whether functions run here: nothing that the default path needs is missing."""
    return all(finding.mark != MISSING for finding in findings)


def _system(machine: MachineFacts) -> Iterator[Finding]:
    yield Finding("system", OK, f"Linux {machine.kernel}" + (" in a container" if machine.is_container else ""))


def _python(machine: MachineFacts) -> Iterator[Finding]:
    found = f"Python {machine.python}"
    if machine.has_runtime_client:
        yield Finding("python", OK, f"{found} with awslambdaric")
    else:
        remedy = f"{machine.executable} -m pip install awslambdaric"
        yield Finding("python", MISSING, f"{found} without awslambdaric, Lambda's runtime client", remedy)


def _node(machine: MachineFacts) -> Iterator[Finding]:
    if machine.node_client:
        yield Finding("node", OK, f"Node.js {machine.node_version} with aws-lambda-ric")
    elif machine.node_version:
        remedy = "for functions in Node.js: npm install aws-lambda-ric, in the function's project or with --global"
        yield Finding("node", LIMITED, f"Node.js {machine.node_version} without aws-lambda-ric", remedy)
    else:
        found = machine.node_failure or "Node.js is not on PATH"
        yield Finding("node", LIMITED, found, "only functions in Node.js need it; install it, or give --node PATH")


def _isolation(machine: MachineFacts) -> Iterator[Finding]:
    if machine.namespaces_without_user:
        found = (
            "namespace: mount and PID namespaces work; processes in them run as you, without capabilities, as a user "
            f"of their own is refused ({machine.namespaces_without_user})"
        )
        yield Finding("isolation", LIMITED, found, _namespace_remedy(machine))
        return
    if not machine.namespaces_missing:
        yield Finding("isolation", OK, "namespace: user, mount and PID namespaces work; --isolation auto takes them")
        return
    found = f"process: --isolation auto takes plain processes, as namespaces are refused ({machine.namespaces_missing})"
    yield Finding("isolation", LIMITED, found, _namespace_remedy(machine))


def _namespace_remedy(machine: MachineFacts) -> str:
    settings = machine.settings
    if settings.get("user.max_user_namespaces") == "0":
        return "sudo sysctl -w user.max_user_namespaces=15000"
    if settings.get("kernel.unprivileged_userns_clone") == "0" and not machine.is_root:
        return "sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if settings.get("kernel.apparmor_restrict_unprivileged_userns") == "1" and not machine.is_root:
        return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or allow userns in an AppArmor profile"
    if machine.is_container:
        return (
            "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined"
        )
    return "a security module or the kernel's configuration forbids them; everything else works without"


def _memory(machine: MachineFacts) -> Iterator[Finding]:
    if MEMORY in machine.group.controllers:
        yield Finding("memory limit", OK, f"kept by the kernel, control group version {machine.group.version}")
    else:
        found = f"kept by watching a hundred times a second: {_why_no_group(machine)}"
        yield Finding("memory limit", LIMITED, found, _group_remedy(machine, MEMORY))


def _cpu(machine: MachineFacts) -> Iterator[Finding]:
    if CPU in machine.group.controllers:
        yield Finding("cpu share", OK, f"--cpu lambda works, control group version {machine.group.version}")
    else:
        found = f"--cpu lambda does not work: {_why_no_group(machine)}"
        yield Finding("cpu share", LIMITED, found, _group_remedy(machine, CPU))


def _why_no_group(machine: MachineFacts) -> str:
    group = machine.group
    if not group.mounted:
        return "no control groups are mounted"
    if group.error:
        return f"the kernel refused a control group ({group.error})"
    if group.controllers:
        return f"control group version {group.version} offers {' and '.join(sorted(group.controllers))} only"
    return "no control group can be made here"


def _group_remedy(machine: MachineFacts, controller: str) -> str:
    if machine.is_container:
        options = "--privileged --cgroupns=host" if machine.group.mounted == 2 else "--privileged"
        return f"{'' if machine.is_root else 'as root, '}in a container that is started with {options}"
    if machine.is_root:
        return "mount control groups, or give this one's group its controllers (cgroup.subtree_control)"
    if controller == CPU and MEMORY in machine.group.controllers:
        return "sudo systemctl edit user@.service: [Service] Delegate=cpu memory pids; then log in again"
    if machine.group.mounted == 1:
        return "as root; or have the kernel use version 2 (systemd.unified_cgroup_hierarchy=1)"
    return "start it by: systemd-run --user --scope -p Delegate=yes tailrace …; or as root"


def _processes(machine: MachineFacts) -> Iterator[Finding]:
    if machine.process_failure:
        remedy = "this container or security module forbids what every environment needs; try another"
        yield Finding("processes", MISSING, f"cannot start and stop processes: {machine.process_failure}", remedy)
    elif not machine.has_pidfd:
        yield Finding("processes", OK, "started, stopped and reaped; without pidfd, a thread waits for each")
    else:
        yield Finding("processes", OK, "started, stopped and reaped; none is left behind")


def _sizes(machine: MachineFacts) -> Iterator[Finding]:
    if machine.has_shared_memory_sizes:
        yield Finding("memory used", OK, "measured with shared pages counted once")
    else:
        found = "measured by resident size: shared pages count more than once"
        yield Finding("memory used", LIMITED, found, "needs /proc/PID/smaps_rollup: Linux 4.14")


def _folder(machine: MachineFacts) -> Iterator[Finding]:
    free = f"{machine.free_bytes // 1_048_576:,} MB free"
    if machine.folder_failure:
        yield Finding("folder", MISSING, machine.folder_failure, "make it writable, or set TMPDIR to another place")
    elif machine.free_bytes < TMP_WANTED_BYTES:
        remedy = "make room, or set TMPDIR to another place: a function may write 512 MB"
        yield Finding("folder", LIMITED, f"{machine.folder}, {free}", remedy)
    else:
        yield Finding("folder", OK, f"{machine.folder}, {free}")


def _network(machine: MachineFacts) -> Iterator[Finding]:
    if machine.listen_failure:
        found = f"cannot listen on 127.0.0.1: {machine.listen_failure}"
        yield Finding("network", MISSING, found, "bring the loopback interface up: ip link set lo up")
    else:
        yield Finding("network", OK, "127.0.0.1 can be listened on")


def _event_loop(machine: MachineFacts) -> Iterator[Finding]:
    if machine.has_uvloop:
        yield Finding("event loop", OK, "uvloop")
    else:
        remedy = f"for faster invocations: {machine.executable} -m pip install uvloop"
        yield Finding("event loop", LIMITED, "asyncio's own", remedy)


def _leftovers(machine: MachineFacts) -> Iterator[Finding]:
    n = machine.n_leftovers
    if n:
        what = "an environment" if n == 1 else f"{n} environments"
        yield Finding("leftovers", OK, f"{what} of killed emulators found and removed")
    else:
        yield Finding("leftovers", OK, "none")


_POINTS = (
    _system,
    _python,
    _node,
    _isolation,
    _memory,
    _cpu,
    _processes,
    _sizes,
    _folder,
    _network,
    _event_loop,
    _leftovers,
)
