from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from tailrace.emulator.deployment import archives
from tailrace.emulator.deployment.layers import merge_layers
from tailrace.errors import UsageError


def make_zip(path: Path, entries: Iterable[tuple[str, str, int]]) -> Path:
    """Entries are (name, content, mode); a mode of 0 is what a system without modes writes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16 | 0x20
            archive.writestr(info, content)
    return path


def test_later_layers_lie_over_earlier_ones_and_modes_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "first"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "tool").write_text("old")
    (folder / "bin" / "tool").chmod(0o755)
    (folder / "only-here").write_text("1")
    (folder / "link").symlink_to("only-here")
    archive = make_zip(
        tmp_path / "second.zip",
        [("bin/", "", stat.S_IFDIR | 0o755), ("bin/tool", "new", 0o100750), ("plain", "x", 0), ("d/e/f", "deep", 0)],
    )
    merge_layers([folder, archive], tmp_path / "opt")
    opt = tmp_path / "opt"
    assert (opt / "bin" / "tool").read_text() == "new"
    assert stat.S_IMODE((opt / "bin" / "tool").stat().st_mode) == 0o750
    assert stat.S_IMODE((opt / "plain").stat().st_mode) == 0o644
    assert (opt / "only-here").read_text() == "1"
    assert (opt / "link").is_symlink()
    assert (opt / "d" / "e" / "f").read_text() == "deep"
    assert (folder / "bin" / "tool").read_text() == "old"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a/.."])
def test_an_entry_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    archive = make_zip(tmp_path / "layer.zip", [(name, "x", 0o644)])
    with pytest.raises(UsageError, match="leads outside /opt"):
        merge_layers([archive], tmp_path / "opt")
    assert not (tmp_path / "evil").exists()


def test_a_link_inside_is_kept_one_outside_refused_and_none_is_written_through(tmp_path: Path) -> None:
    link = stat.S_IFLNK | 0o777
    inside = make_zip(
        tmp_path / "a.zip", [("lib/x.so.1", "x", 0o644), ("lib/x.so", "x.so.1", link), ("l", "/opt/lib", link)]
    )
    merge_layers([inside], tmp_path / "opt")
    assert (tmp_path / "opt" / "lib" / "x.so").read_text() == "x"
    assert (tmp_path / "opt" / "l" / "x.so").read_text() == "x"
    for destination in ("/etc", "../..", "/opt/../etc"):
        archive = make_zip(tmp_path / "b.zip", [("out", destination, link), ("out/passwd", "x", 0o644)])
        with pytest.raises(UsageError, match="outside /opt"):
            merge_layers([archive], tmp_path / "opt2")
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "victim").mkdir()
    (folder / "out").symlink_to(tmp_path / "victim")
    with pytest.raises(UsageError, match="leads outside /opt"):
        merge_layers([folder, make_zip(tmp_path / "c.zip", [("out/file", "x", 0o644)])], tmp_path / "opt3")
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_folder_with_a_link_in_the_way_of_a_later_folder_is_not_written_through(tmp_path: Path) -> None:
    first, second, victim = tmp_path / "first", tmp_path / "second", tmp_path / "victim"
    for folder in (first, second / "out", victim):
        folder.mkdir(parents=True)
    (first / "out").symlink_to(victim)
    (second / "out" / "file").write_text("x")
    merge_layers([first, second], tmp_path / "opt")
    assert list(victim.iterdir()) == []
    assert (tmp_path / "opt" / "out" / "file").read_text() == "x"


@pytest.mark.parametrize(("content", "words"), [(None, "does not exist"), (b"text", "neither a folder nor a zip file")])
def test_what_is_no_layer_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "layer.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        merge_layers([path], tmp_path / "opt")
    assert str(path) in str(caught.value)


def test_a_damaged_zip_is_named(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "layer.zip", [("a", "hello hello", 0o644)])
    path.write_bytes(path.read_bytes().replace(b"hello hello", b"jello hello"))
    with pytest.raises(UsageError, match="cannot be unpacked"):
        merge_layers([path], tmp_path / "opt")


def test_more_than_lambda_allows_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 10)
    archive = make_zip(tmp_path / "layer.zip", [("a", "x" * 11, 0o644)])
    with pytest.raises(UsageError, match="larger than"):
        merge_layers([archive], tmp_path / "opt")
    assert not (tmp_path / "opt" / "a").exists()


def test_a_file_gives_way_to_a_folder_of_a_later_layer_and_the_other_way_round(tmp_path: Path) -> None:
    first = make_zip(tmp_path / "a.zip", [("tool", "x", 0o644), ("data/deep/file", "x", 0o644)])
    second = make_zip(tmp_path / "b.zip", [("tool/part", "new", 0o644), ("data", "new", 0o644)])
    merge_layers([first, second], tmp_path / "opt")
    assert (tmp_path / "opt" / "tool" / "part").read_text() == "new"
    assert (tmp_path / "opt" / "data").read_text() == "new"
    third = make_zip(tmp_path / "c.zip", [("data/", "", stat.S_IFDIR | 0o755)])
    merge_layers([third], tmp_path / "opt")
    assert (tmp_path / "opt" / "data").is_dir()


def test_a_link_to_opt_holds_wherever_the_folder_is_mounted(tmp_path: Path) -> None:
    link = stat.S_IFLNK | 0o777
    packed = make_zip(tmp_path / "a.zip", [("lib/x.so", "x", 0o644), ("deep/er/x.so", "/opt/lib/x.so", link)])
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "all").symlink_to("/opt/lib")
    merge_layers([packed, folder], tmp_path / "opt")
    moved = (tmp_path / "opt").rename(tmp_path / "elsewhere")
    assert (moved / "deep" / "er" / "x.so").read_text() == "x"
    assert (moved / "all" / "x.so").read_text() == "x"


def test_links_to_the_sandboxs_other_folders_are_kept_as_they_are(tmp_path: Path) -> None:
    link = stat.S_IFLNK | 0o777
    packed = make_zip(tmp_path / "a.zip", [("cache", "/tmp/cache", link), ("code", "/var/task", link)])
    merge_layers([packed], tmp_path / "opt")
    assert (tmp_path / "opt" / "cache").readlink() == Path("/tmp/cache")
    assert (tmp_path / "opt" / "code").readlink() == Path("/var/task")
    nested = make_zip(tmp_path / "b.zip", [("cache/file", "x", 0o644)])
    with pytest.raises(UsageError, match="leads outside /opt"):
        merge_layers([nested], tmp_path / "opt")
    assert not Path("/tmp/cache/file").exists()


def test_what_cannot_be_copied_from_a_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(UsageError, match="cannot be copied"):
        merge_layers([folder], tmp_path / "opt")


def test_an_entry_packed_in_an_unknown_way_is_named(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "layer.zip", [("a", "hello", 0o644)])
    content = bytearray(path.read_bytes())
    for start in (content.find(b"PK\x03\x04") + 8, content.find(b"PK\x01\x02") + 10):
        content[start : start + 2] = (99).to_bytes(2, "little")
    path.write_bytes(bytes(content))
    with pytest.raises(UsageError, match="cannot be unpacked"):
        merge_layers([path], tmp_path / "opt")
