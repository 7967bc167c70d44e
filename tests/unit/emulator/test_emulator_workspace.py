from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tailrace.emulator.linux import require_linux
from tailrace.emulator.processes import procfs, subreaper
from tailrace.emulator.steady_clock import SteadyClock
from tailrace.emulator.workspace import Workspace, clean_up, runtime_dir
from tailrace.errors import EnvironmentStartError


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_the_users_folder_is_private(temporary: Path) -> None:
    path = runtime_dir()
    assert path == temporary / f"tailrace-{os.getuid()}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert runtime_dir() == path


@pytest.mark.parametrize("trap", ["link", "file", "open"])
def test_a_folder_that_others_could_have_made_is_refused(temporary: Path, trap: str) -> None:
    path = temporary / f"tailrace-{os.getuid()}"
    if trap == "link":
        (temporary / "elsewhere").mkdir()
        path.symlink_to(temporary / "elsewhere")
    elif trap == "file":
        path.touch()
    else:
        path.mkdir()
        path.chmod(0o777)
    with pytest.raises(EnvironmentStartError, match="is not a private folder of this user"):
        runtime_dir()


def test_a_folder_in_use_is_left_alone_and_goes_when_closed(temporary: Path) -> None:
    with Workspace.create() as workspace:
        workspace.bind_address("127.0.0.1:1")
        workspace.record({os.getpid(): 1})
        assert clean_up() == 0
        assert workspace.path.is_dir()
        with Workspace.create() as other:
            assert other.path != workspace.path
    assert list(runtime_dir().iterdir()) == []
    workspace.close()


def test_the_subreapers_role_is_counted() -> None:
    before = subreaper.is_subreaper()
    subreaper.acquire()
    subreaper.acquire()
    subreaper.release()
    assert subreaper.is_subreaper()
    subreaper.release()
    assert subreaper.is_subreaper() == before


def test_proc_tells_about_this_process_and_nothing_about_one_that_is_not() -> None:
    own = procfs.stat(os.getpid())
    assert own is not None
    assert own.parent == os.getppid()
    assert own.group == os.getpgrp()
    assert not own.is_stopped
    assert procfs.set_size(os.getpid()).n_bytes > procfs.set_size(os.getpid()).held_bytes > 1_000_000
    nobody = 2**22 + 1
    assert procfs.stat(nobody) is None
    assert procfs.set_size(nobody) == procfs.SetSize(0, 0)
    assert procfs.children(nobody) == []
    assert procfs.descendants(nobody) == []
    assert procfs.environment_value(nobody, "PATH") is None


def test_children_are_found_by_a_scan_as_well() -> None:
    child = subprocess.Popen(["/bin/sleep", "1000"])
    try:
        assert child.pid in procfs.children(os.getpid())
        assert child.pid in procfs.children_by_scan(os.getpid())
    finally:
        child.kill()
        child.wait()


def test_the_clock_is_wall_time_and_never_goes_back() -> None:
    clock = SteadyClock()
    readings = [clock() for _ in range(1000)]
    assert readings == sorted(readings)
    assert readings[0] > 1_700_000_000_000_000_000


def test_other_systems_get_one_clear_sentence() -> None:
    require_linux("linux")
    with pytest.raises(EnvironmentStartError, match="needs Linux; this system is darwin"):
        require_linux("darwin")
