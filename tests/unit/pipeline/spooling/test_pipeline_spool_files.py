"""The spool's folder: ours alone, whoever else may write beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tailrace.pipeline.spooling.folder import SpoolUnusableError, open_spool_folder, write_all

HOLD = """
import sys
from tailrace.pipeline.spooling.folder import open_spool_folder
folder = open_spool_folder(sys.argv[1], ["shop"])
print("locked", flush=True)
sys.stdin.read()
"""


def test_the_folder_is_made_and_private(tmp_path: Path) -> None:
    folder = open_spool_folder(f"{tmp_path}/spool", ["shop"])
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert Path(folder.path).stat().st_mode & 0o777 == 0o700
    assert Path(folder.path).parent == tmp_path / "spool"
    folder.close()


def test_a_folder_of_ours_that_others_may_use_is_made_private(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir(mode=0o755)
    open_spool_folder(f"{tmp_path}/spool", ["shop"]).close()
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


def test_environments_have_folders_of_their_own(tmp_path: Path) -> None:
    paths = set()
    for base, name in (("one", "shop"), ("one", "till"), ("two", "shop"), ("one", "shop")):
        folder = open_spool_folder(f"{tmp_path}/{base}", [name])
        paths.add(folder.path)
        folder.close()
    assert len(paths) == 3


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(SpoolUnusableError):
        open_spool_folder(f"{tmp_path}/link", ["shop"])

    folder = open_spool_folder(f"{tmp_path}/spool", ["shop"])
    (tmp_path / "secret").write_bytes(b"secret")
    Path(folder.path, "counters").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError):  # noqa: PT011 - the kernel's word for it varies
        folder.open("counters", os.O_RDWR)
    with pytest.raises(OSError):  # noqa: PT011 - the same
        folder.read("counters")
    assert (tmp_path / "secret").read_bytes() == b"secret"
    own = Path(folder.path)
    folder.close()
    (own / "counters").unlink()
    (own / "lock").unlink()
    own.rmdir()
    own.symlink_to(target)
    with pytest.raises(SpoolUnusableError):
        open_spool_folder(f"{tmp_path}/spool", ["shop"])
    assert list(target.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    os.chown(tmp_path / "spool", 12345, 12345)
    with pytest.raises(SpoolUnusableError, match="belongs to user 12345"):
        open_spool_folder(f"{tmp_path}/spool", ["shop"])


@pytest.mark.parametrize("path", ["/proc/nothing-here", "/dev/null", "/nowhere/at/all"])
def test_a_place_that_is_no_folder_is_refused_in_words(path: str) -> None:
    with pytest.raises(SpoolUnusableError, match="cannot be used: "):
        open_spool_folder(path, ["shop"])


def test_two_processes_never_use_one_folder_and_a_kill_frees_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, f"{tmp_path}/spool"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(SpoolUnusableError, match="in use by another process"):
            open_spool_folder(f"{tmp_path}/spool", ["shop"])
        other.kill()
        other.wait()
        open_spool_folder(f"{tmp_path}/spool", ["shop"]).close()


def test_a_file_beyond_reason_is_not_read_into_memory(tmp_path: Path) -> None:
    folder = open_spool_folder(f"{tmp_path}/spool", ["shop"])
    fd = folder.create("00000001-00000000.seg")
    os.ftruncate(fd, 1 << 40)
    os.close(fd)
    with pytest.raises(OSError, match="bytes"):
        folder.read("00000001-00000000.seg")
    folder.close()


def test_a_full_device_is_an_error() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left"):
            write_all(fd, b"x" * 100, 0)
    finally:
        os.close(fd)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    folder = open_spool_folder(f"{tmp_path}/spool", ["shop"])
    os.mkfifo(Path(folder.path, "00000001-6bd1a2c3.seg"))
    assert folder.read("00000001-6bd1a2c3.seg") == b""
    with pytest.raises(OSError):  # noqa: PT011 - the kernel's word for it varies
        folder.mark("00000001-6bd1a2c3.seg", [0], 1)
    folder.close()
