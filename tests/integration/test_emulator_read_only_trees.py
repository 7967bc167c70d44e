"""Folders with other file systems mounted below them are made read-only, on kernels of every age."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.namespaces import needs_namespaces

pytestmark = needs_namespaces

PROGRAM = """
import json, os, sys
from tailrace.emulator.isolation import kernel

def touch(path):
    try:
        with open(path, "a"):
            return "done"
    except OSError as error:
        return os.strerror(error.errno)

source, seen, way = sys.argv[1:]
kernel.mount("tmpfs", source, "tmpfs")
for name in ("inner", "with a blank"):
    os.mkdir(f"{source}/{name}")
    kernel.mount("tmpfs", f"{source}/{name}", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV)
kernel.mount(source, seen, flags=kernel.MS_BIND | kernel.MS_REC)
getattr(kernel, way)(seen)
places = ["", "/inner", "/with a blank"]
print(json.dumps([[touch(f"{folder}{place}/file") for place in places] for folder in (seen, source)]))
"""


def new_enough() -> bool:
    """Linux 5.12, where no container forbids its call."""
    code = "from tailrace.emulator.isolation import kernel; kernel.set_tree_read_only('/')"
    words = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", code]
    return subprocess.run(words, capture_output=True).returncode == 0


@pytest.mark.parametrize("way", ["make_tree_read_only", "set_tree_read_only", "make_each_read_only"])
def test_a_tree_is_read_only_where_it_is_shown_and_stays_as_it_is_elsewhere(tmp_path: Path, way: str) -> None:
    if way == "set_tree_read_only" and not new_enough():
        pytest.skip("this kernel has no mount_setattr(2)")
    for name in ("source", "seen"):
        (tmp_path / name).mkdir()
    words = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", PROGRAM]
    ran = subprocess.run(
        [*words, str(tmp_path / "source"), str(tmp_path / "seen"), way], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [["Read-only file system"] * 3, ["done"] * 3]
