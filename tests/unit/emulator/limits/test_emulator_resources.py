"""Limits on real processes in real control groups, and the arithmetic of shares."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.emulator.limits import cgroups
from tailrace.emulator.limits.cgroups import CPU, MEMORY
from tailrace.emulator.limits.memory import MemoryMeter
from tailrace.emulator.limits.resources import (
    CPU_PERIOD_US,
    MB,
    Resources,
    cpu_quota,
    find_group,
    is_in_memory,
    processors,
    require_share,
)
from tailrace.emulator.processes import procfs
from tailrace.emulator.workspace import Workspace
from tailrace.errors import EnvironmentStartError, UsageError

LIMIT_S = 20


def is_possible(*controllers: str) -> bool:
    group = find_group("probe", frozenset(controllers))
    return group is not None and group.controllers == set(controllers)


needs_memory = pytest.mark.skipif(not is_possible(MEMORY), reason="no control group may limit memory here")
needs_cpu = pytest.mark.skipif(not is_possible(MEMORY, CPU), reason="no control group may limit processors here")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.create(tmp_path) as workspace:
        yield workspace


def python(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", f"import sys; input()\n{code}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def adopt(resources: Resources, child: subprocess.Popen[str]) -> None:
    stat = procfs.stat(child.pid)
    assert stat is not None
    resources.adopt({child.pid: stat.start_ticks})
    assert resources.group is not None
    until_member(resources.group.paths[0], child.pid)


def until_member(folder: Path, pid: int) -> None:
    give_up_at = time.monotonic() + LIMIT_S
    while pid not in cgroups.members(folder):
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


@pytest.mark.parametrize(
    ("memory_mb", "share"), [(128, 0.0724), (885, 0.5003), (1769, 1.0), (3538, 2.0), (10240, 5.7886)]
)
def test_the_share_is_whole_at_1769_mb_and_in_proportion_elsewhere(memory_mb: int, share: float) -> None:
    assert processors(memory_mb) == pytest.approx(share, abs=0.0001)
    assert cpu_quota(memory_mb).quota_us / CPU_PERIOD_US == pytest.approx(share, abs=0.0001)


@given(st.integers(128, 10240))
def test_the_kernel_takes_the_quota_of_every_function(memory_mb: int) -> None:
    quota = cpu_quota(memory_mb)
    assert 1_000 <= quota.period_us <= 1_000_000
    assert quota.quota_us >= 1_000


@needs_memory
def test_the_kernel_ends_who_allocates_too_much_and_says_so_once(workspace: Workspace, tmp_path: Path) -> None:
    resources = Resources.open(128, "host", workspace, tmp=tmp_path)
    room_mb = 600  # more than any room that the kernel's limit has above the function's memory
    with python(f"x = b'x' * ({128 + room_mb} << 20)") as child:
        adopt(resources, child)
        assert not resources.kernel_has_killed()
        go(child)
        assert child.wait(LIMIT_S) == -9
    assert resources.kernel_has_killed()
    assert not resources.kernel_has_killed()
    resources.close()
    assert resources.group is not None
    assert not any(path.exists() for path in resources.group.paths)


@needs_memory
def test_what_is_written_to_a_disk_and_what_is_within_the_limit_ends_nobody(
    workspace: Workspace, tmp_path: Path
) -> None:
    resources = Resources.open(128, "host", workspace, tmp=tmp_path)
    write = f"file = open({str(tmp_path / 'file')!r}, 'wb')\nfor _ in range(400): file.write(x[:1 << 20])"
    code = f"x = b'x' * (100 << 20)\n{write}\nfile.close()"
    with python(code) as child:
        adopt(resources, child)
        go(child)
        assert child.wait(LIMIT_S * 3) == 0
    assert not resources.kernel_has_killed()
    resources.close()


@needs_cpu
def test_a_quota_holds_from_the_end_of_init_on(workspace: Workspace, tmp_path: Path) -> None:
    resources = Resources.open(128, "lambda", workspace, tmp=tmp_path)
    group = resources.group
    assert group is not None
    busy = "print('ready', flush=True)\nwhile True: pass"
    with python(busy) as child:
        try:
            adopt(resources, child)
            go(child)
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            assert group.throttled_periods() == 0
            resources.init_ended()
            give_up_at = time.monotonic() + LIMIT_S
            while group.throttled_periods() < 3:
                assert time.monotonic() < give_up_at
                time.sleep(0.001)
        finally:
            child.kill()
    resources.close()
    assert not any(path.exists() for path in group.paths)


@needs_memory
def test_closing_ends_what_is_still_in_the_group(workspace: Workspace, tmp_path: Path) -> None:
    resources = Resources.open(128, "host", workspace, tmp=tmp_path)
    with python("") as child:
        adopt(resources, child)
        resources.close()
        assert child.wait(LIMIT_S) == -9
    resources.close()


@needs_memory
def test_closing_the_folder_of_an_environment_removes_its_groups(tmp_path: Path) -> None:
    with Workspace.create(tmp_path) as workspace:
        group = Resources.open(128, "host", workspace, tmp=tmp_path).group
        assert group is not None
        assert all(path.is_dir() for path in group.paths)
    assert not any(path.exists() for path in group.paths)


def test_without_groups_memory_is_watched_and_a_share_is_refused(
    workspace: Workspace,
) -> None:
    resources = Resources.open(128, "host", workspace, find=lambda name, wanted: None)
    assert resources.group is None
    assert not resources.is_exceeded(128 * MB)
    assert resources.is_exceeded(128 * MB + 1)
    assert not resources.kernel_has_killed()
    resources.adopt({1: 1})
    resources.init_ended()
    resources.close()
    with pytest.raises(EnvironmentStartError, match=r"^Lambda's share of the processors needs a control group"):
        Resources.open(128, "lambda", workspace, find=lambda name, wanted: None)


def test_whoever_asks_for_a_share_that_cannot_be_kept_is_told_before_anything_starts() -> None:
    require_share("host", lambda name, wanted: None)
    with pytest.raises(UsageError) as caught:
        require_share("lambda", lambda name, wanted: None)
    assert (caught.value.setting, caught.value.remedy) == (
        "--cpu",
        "tailrace doctor says why; --cpu host runs without a limit",
    )


def test_pages_of_mapped_files_are_measured_but_not_held(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\1" * (20 * MB))
    code = f"""
import mmap
file = open({str(tmp_path / "file")!r}, "r+b")
mapped = mmap.mmap(file.fileno(), 0)
sum(mapped[::4096])
print("mapped", flush=True)
input()
"""
    with python(code) as child:
        go(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "mapped\n"
        meter = MemoryMeter()
        assert meter.measure([child.pid]) > 20 * MB
        assert 0 < meter.held_bytes < 20 * MB
        go(child)
    assert meter.measure([child.pid]) == meter.held_bytes == 0


@pytest.mark.parametrize(("folder", "expected"), [("disk", False), ("disk/ram", True), ("disk/ram/deeper", True)])
def test_a_folder_in_memory_is_told_from_one_on_a_disk(tmp_path: Path, folder: str, expected: bool) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        f"22 21 0:20 / {tmp_path}/disk/ram rw - tmpfs tmpfs rw,size=4k\n"
    )
    assert is_in_memory(tmp_path / folder, mountinfo) == expected
