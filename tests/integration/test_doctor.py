"""`tailrace doctor` as a user runs it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

from support.commands import LIMIT_S, TAILRACE, tailrace
from tailrace.emulator.limits import cgroups
from tailrace.emulator.processes import procfs
from tailrace.testing.waiting import until


def examined(*arguments: str, exit_code: int = 0, **variables: str) -> dict[str, Any]:
    result = tailrace("doctor", *arguments, env=dict(os.environ) | variables)
    assert result.returncode == exit_code, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_the_document_has_every_point_and_nothing_is_left_behind(tmp_path: Path) -> None:
    document = examined("--json", TMPDIR=str(tmp_path))
    assert document["usable"] is True
    assert document["isolation"] in ("process", "namespace")
    assert [check["name"] for check in document["checks"]] == [
        "system",
        "python",
        "node",
        "isolation",
        "memory limit",
        "cpu share",
        "processes",
        "memory used",
        "folder",
        "network",
        "event loop",
        "leftovers",
    ]
    for check in document["checks"]:
        assert set(check) == {"name", "mark", "found", "remedy"}
        assert check["mark"] in ("ok", "limited")
        assert bool(check["remedy"]) == (check["mark"] == "limited")
    assert list((tmp_path / f"tailrace-{os.getuid()}").iterdir()) == []


def test_a_machine_where_functions_do_not_run_ends_with_1_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / f"tailrace-{os.getuid()}").write_text("in the way")
    document = examined("--json", exit_code=1, TMPDIR=str(tmp_path))
    assert document["usable"] is False
    (folder,) = [check for check in document["checks"] if check["mark"] == "missing"]
    assert folder["name"] == "folder"
    assert "is not a private folder of this user" in folder["found"]
    assert "TMPDIR" in folder["remedy"]
    told = tailrace("doctor", env=dict(os.environ) | {"TMPDIR": str(tmp_path)})
    assert told.returncode == 1
    assert told.stdout.endswith("Functions do not run here yet: folder.\n")


def test_what_a_killed_emulator_left_is_found_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / f"tailrace-{os.getuid()}"
    stale = folder / "environment-0"
    stale.mkdir(parents=True)
    folder.chmod(0o700)
    (stale / "lock").touch()
    with subprocess.Popen(["/bin/sleep", "1000"], process_group=0) as left:
        stat = procfs.stat(left.pid)
        assert stat is not None
        state = {"apiAddress": "", "processes": [[left.pid, stat.start_ticks]], "controlGroups": []}
        (stale / "state.json").write_text(json.dumps(state))
        document = examined("--json", TMPDIR=str(tmp_path))
        assert left.wait(LIMIT_S) == -9
    assert document["checks"][-1]["found"] == "an environment of killed emulators found and removed"
    assert not stale.exists()


def on_a_terminal(columns: int, *arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code and output of the command on a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    host = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    env = host | {"TERM": "xterm-256color"} | variables
    with subprocess.Popen([TAILRACE, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        data = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while piece := os.read(ours, 65536):
                data += piece
        os.close(ours)
        return process.wait(LIMIT_S), data.decode().replace("\r\n", "\n")


def test_on_a_terminal_each_point_is_a_line_with_its_mark_in_colour(tmp_path: Path) -> None:
    code, output = on_a_terminal(200, "doctor", TMPDIR=str(tmp_path))
    assert code == 0
    assert "\x1b[32mok " in output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    marks = [line.split()[0] for line in plain.splitlines() if re.match(r"  \w", line)]
    assert len(marks) == 12
    assert set(marks) <= {"ok", "limited"}
    assert re.search(r"^Functions run here, in (process|namespace) isolation\.$", plain, re.MULTILINE)


def test_a_narrow_terminal_and_one_without_colour_are_fine(tmp_path: Path) -> None:
    code, output = on_a_terminal(60, "doctor", TMPDIR=str(tmp_path), NO_COLOR="1")
    assert code == 0
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) <= 60


def test_no_control_group_of_a_trial_stays(tmp_path: Path) -> None:
    def groups() -> set[Path]:
        trees = {tree.own for tree in cgroups.find_hierarchies()}
        return {path for tree in trees for path in tree.glob(f"{cgroups.PREFIX}*") if path.is_dir()}

    before = groups()
    examined("--json", TMPDIR=str(tmp_path))
    new = groups() - before  # those of other runs at the same time are given back when these end
    until(lambda: not any(path.exists() for path in new), 30, lambda: f"{new} stay")
