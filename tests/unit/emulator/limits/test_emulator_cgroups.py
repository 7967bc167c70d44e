"""Where groups are found and what is written into them, on trees of plain files: every kind of machine can be shown."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailrace.emulator.limits import cgroup_v1, cgroup_v2, cgroups
from tailrace.emulator.limits.cgroups import CPU, MEMORY, CpuQuota
from tailrace.emulator.limits.resources import find_group

BOTH = frozenset({MEMORY, CPU})


class Machine:
    """A folder that looks like `/proc/self` and `/sys/fs/cgroup` of some machine."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.sys = folder / "cgroup"
        self.proc.mkdir(parents=True)
        self._mounts: list[str] = ["21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"]

    def mount(self, name: str, kind: str, options: str, root: str = "/") -> None:
        place = self.sys / name
        place.mkdir(parents=True, exist_ok=True)
        self._mounts.append(f"30 21 0:26 {root} {place} rw,nosuid shared:4 - {kind} cgroup {options}")
        (self.proc / "mountinfo").write_text("\n".join(self._mounts) + "\n")

    def membership(self, *lines: str) -> None:
        (self.proc / "cgroup").write_text("\n".join(lines) + "\n")

    def group(self, path: str, offered: str = "", passed_on: str = "", members: str = "", mode: int = 0o755) -> Path:
        folder = self.sys / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.controllers").write_text(offered)
        (folder / "cgroup.subtree_control").write_text(passed_on)
        (folder / "cgroup.procs").write_text(members)
        (folder / "cgroup.type").write_text("domain\n")
        return folder


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_is_found_where_nothing_is_mounted(machine: Machine) -> None:
    assert cgroups.find_hierarchies(machine.proc) == []
    machine.membership("0::/")
    machine.mount("unified", "cgroup2", "rw")
    assert find_group("x", BOTH, machine.proc) is None


def test_version_1_has_a_group_for_each_controller_below_our_own(machine: Machine) -> None:
    machine.mount("memory", "cgroup", "rw,memory")
    machine.mount("cpu,cpuacct", "cgroup", "rw,cpu,cpuacct")
    machine.mount("freezer", "cgroup", "rw,freezer")
    machine.membership("9:memory:/session", "4:cpu,cpuacct:/", "3:freezer:/", "1:name=systemd:/a", "0::/a")
    (own_memory, own_cpu) = machine.group("memory/session"), machine.group("cpu,cpuacct")
    group = find_group("environment-1", BOTH, machine.proc)
    assert group is not None
    assert (group.version, group.controllers) == (1, BOTH)
    assert set(group.paths) == {own_memory / "tailrace-environment-1", own_cpu / "tailrace-environment-1"}
    only_memory = find_group("environment-1", frozenset({MEMORY}), machine.proc)
    assert only_memory is not None
    assert only_memory.paths == (own_memory / "tailrace-environment-1",)


def test_version_1_writes_limits_and_reads_what_the_kernel_counted(machine: Machine) -> None:
    group = cgroup_v1.ControlGroupV1({MEMORY: machine.sys, CPU: machine.sys}, "g")
    machine.sys.mkdir()
    group.create()
    folder = machine.sys / "tailrace-g"
    group.limit_memory(144 << 20)
    group.limit_cpu(CpuQuota(1447, 20_000))
    group.add(4711)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "memory.limit_in_bytes": str(144 << 20),
        "memory.memsw.limit_in_bytes": str(144 << 20),
        "cpu.cfs_period_us": "20000",
        "cpu.cfs_quota_us": "1447",
        "cgroup.procs": "4711",
    }
    group.limit_cpu(None)
    assert (folder / "cpu.cfs_quota_us").read_text() == "-1"
    (folder / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (folder / "cpu.stat").write_text("nr_periods 9\nnr_throttled 7\nthrottled_time 1\n")
    assert (group.kernel_kills(), group.throttled_periods()) == (2, 7)


def test_in_a_container_the_part_of_the_tree_that_is_mounted_counts(machine: Machine) -> None:
    machine.mount("memory", "cgroup", "rw,memory", root="/docker/abc")
    machine.membership("9:memory:/docker/abc/inner")
    inner = machine.group("memory/inner")
    (hierarchy,) = cgroups.find_hierarchies(machine.proc)
    assert hierarchy.own == inner
    machine.membership("9:memory:/docker/abc")
    assert cgroups.find_hierarchies(machine.proc)[0].own == machine.sys / "memory"


@pytest.mark.parametrize("path", ["/../elsewhere", "/gone"])
def test_a_path_that_leads_nowhere_here_gives_the_mounted_group(machine: Machine, path: str) -> None:
    machine.mount("memory", "cgroup", "rw,memory", root="/docker/abc")
    machine.membership(f"9:memory:{path}")
    assert cgroups.find_hierarchies(machine.proc)[0].own == machine.sys / "memory"


SESSION = "user.slice/user-1000.slice/user@1000.service"


def session(machine: Machine, *, app_passes_on: str = "memory pids", scope_members: str = "100\n101\n") -> Path:
    """A user's session under systemd. Root's own folders cannot be shown: to root all of them are writable."""
    machine.mount("", "cgroup2", "rw")
    machine.membership(f"0::/{SESSION}/app.slice/term.scope")
    machine.group("", "cpu io memory pids", "memory pids", "1\n")
    machine.group("user.slice", "memory pids", "memory pids")
    machine.group("user.slice/user-1000.slice", "memory pids", "memory pids")
    machine.group(SESSION, "memory pids", "memory pids")
    app = machine.group(f"{SESSION}/app.slice", "memory pids", app_passes_on)
    machine.group(f"{SESSION}/app.slice/term.scope", app_passes_on, "", scope_members)
    return app


def test_version_2_goes_up_from_a_group_with_processes_to_one_that_may_pass_controllers_on(machine: Machine) -> None:
    app = session(machine)
    parent = cgroup_v2.find_parent(cgroups.find_hierarchies(machine.proc), frozenset({MEMORY}))
    assert parent == cgroup_v2.ParentV2(app, frozenset({MEMORY}), frozenset())


def test_version_2_has_a_controller_passed_on_where_it_is_not_yet(machine: Machine) -> None:
    app = session(machine, app_passes_on="")
    group = find_group("environment-1", frozenset({MEMORY}), machine.proc)
    assert group is not None
    group.create()
    assert (app / "cgroup.subtree_control").read_text() == "+memory"
    assert (app / "tailrace-environment-1").is_dir()


def test_version_2_uses_our_own_group_where_nothing_is_in_it(machine: Machine) -> None:
    session(machine, scope_members="")
    parent = cgroup_v2.find_parent(cgroups.find_hierarchies(machine.proc), frozenset({MEMORY}))
    assert parent is not None
    assert parent.path.name == "term.scope"
    assert parent.missing == {MEMORY}


def test_version_2_goes_further_up_for_a_controller_that_is_not_offered_below(machine: Machine) -> None:
    session(machine)
    machine.group("user.slice/user-1000.slice", "cpu memory pids", "memory pids")
    parent = cgroup_v2.find_parent(cgroups.find_hierarchies(machine.proc), BOTH)
    assert parent is not None
    assert parent.path.name == "user-1000.slice"
    assert parent.missing == {CPU}


def test_a_container_whose_only_group_holds_its_processes_has_no_place(machine: Machine) -> None:
    machine.mount("", "cgroup2", "rw", root="/docker/abc")
    machine.membership("0::/docker/abc")
    machine.group("", "cpu memory pids", "", "1\n7\n")
    assert find_group("x", BOTH, machine.proc) is None


def test_the_machines_own_root_may_pass_on_though_processes_are_in_it(machine: Machine) -> None:
    machine.mount("", "cgroup2", "rw")
    machine.membership("0::/")
    (machine.group("", "cpu memory pids", "", "1\n7\n") / "cgroup.type").unlink()
    group = find_group("x", BOTH, machine.proc)
    assert group is not None
    assert (group.version, group.controllers) == (2, BOTH)


def test_version_2_writes_limits_and_reads_what_the_kernel_counted(machine: Machine) -> None:
    app = session(machine)
    group = cgroup_v2.ControlGroupV2(cgroup_v2.ParentV2(app, BOTH, frozenset()), "g")
    group.create()
    group.limit_memory(144 << 20)
    group.limit_cpu(CpuQuota(1447, 20_000))
    group.add(4711)
    folder = app / "tailrace-g"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "memory.max": str(144 << 20),
        "memory.swap.max": "0",
        "cpu.max": "1447 20000",
        "cgroup.procs": "4711",
    }
    group.limit_cpu(None)
    assert (folder / "cpu.max").read_text() == "max"
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n")
    (folder / "cpu.stat").write_text("usage_usec 5\nnr_periods 9\nnr_throttled 7\n")
    assert (group.kernel_kills(), group.throttled_periods()) == (2, 7)


def test_a_machine_with_both_versions_uses_the_one_that_has_the_controllers(machine: Machine) -> None:
    machine.mount("memory", "cgroup", "rw,memory")
    machine.mount("unified", "cgroup2", "rw")
    machine.membership("9:memory:/", "0::/")
    machine.group("memory")
    machine.group("unified")
    group = find_group("x", BOTH, machine.proc)
    assert group is not None
    assert (group.version, group.controllers) == (1, frozenset({MEMORY}))


@pytest.fixture
def real_v2() -> Iterator[Path]:
    """A real, empty group of version 2, whatever controllers it has."""
    trees = [tree for tree in cgroups.find_hierarchies() if tree.version == 2 and cgroups.is_writable(tree.own)]
    if not trees:
        pytest.skip("no group of version 2 can be made here")
    group = cgroup_v2.ControlGroupV2(cgroup_v2.ParentV2(trees[0].own, frozenset(), frozenset()), "test-of-version-2")
    group.create()
    yield group.paths[0]
    cgroups.remove(group.paths)


def test_a_group_is_removed_with_what_runs_in_it(real_v2: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "1000"]) as child:
        (real_v2 / "cgroup.procs").write_text(str(child.pid))
        assert cgroups.is_control_group(real_v2)
        assert cgroups.members(real_v2) == [child.pid]
        assert cgroups.remove([real_v2])
        assert child.wait(20) == -9
    assert not real_v2.exists()
    assert cgroups.remove([real_v2])
