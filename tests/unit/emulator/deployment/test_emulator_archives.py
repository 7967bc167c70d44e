from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import warnings
import zipfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from support.examples import examples
from tailrace.emulator.deployment.archives import Target, unpack_zip
from tailrace.errors import UsageError

PARTS = st.sampled_from(["a", "b", "c", "..", ".", "", "opt"])
NAMES = st.builds(
    lambda start, parts, end: start + "/".join(parts) + end,
    st.sampled_from(["", "/"]),
    st.lists(PARTS, min_size=1, max_size=4),
    st.sampled_from(["", "/"]),
)
AIMS = st.one_of(
    NAMES,
    st.sampled_from(["/opt", "/opt/a", "/../opt", "/x/../opt/a", "/tmp/x", "/etc/passwd", "../..", "a/../../victim"]),
)
ENTRIES = st.lists(st.tuples(NAMES, st.one_of(st.none(), AIMS)), max_size=8)


def pack(path: Path, entries: list[tuple[str, str | None]]) -> Path:
    """Each entry is a name and, for a symbolic link, where it leads."""
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings(action="ignore"):  # of two with one name
        for name, aim in entries:
            info = zipfile.ZipInfo(name or "x")
            info.external_attr = (stat.S_IFREG | 0o644 if aim is None else stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "written" if aim is None else aim)
    return path


@examples(100)
@given(st.lists(ENTRIES, min_size=1, max_size=3))
@example([[("a", "/../opt")]])
@example([[("a", "//opt/b")]])
def test_whatever_a_zip_file_holds_nothing_is_written_outside(archives: list[list[tuple[str, str | None]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        victim, target = Path(folder, "victim"), Path(folder, "target", "opt")
        victim.mkdir()
        target.mkdir(parents=True)
        for number, entries in enumerate(archives):
            path = pack(Path(folder, f"{number}.zip"), entries)
            with contextlib.suppress(UsageError):
                unpack_zip(path, Target(target, "/opt", "--layer"), 1000)
        assert list(victim.iterdir()) == []
        assert list(target.parent.iterdir()) == [target]
        there = {path.name for path in Path(folder).iterdir()}
        assert there == {"victim", "target", *(f"{number}.zip" for number in range(len(archives)))}
        for inside in target.rglob("*"):
            assert not inside.is_symlink() or _stays(inside, target)


def _stays(link: Path, root: Path) -> bool:
    """Inside, or to one of the sandbox's other folders, which it was packed for."""
    aim = str(link.readlink())
    return aim.startswith(("/tmp", "/var/task")) or Path(os.path.normpath(link.parent / aim)).is_relative_to(root)
