"""Namespaces where something of what they need is forbidden, or lies under other mounts, as in many containers.

Each test makes such a machine in namespaces around the command, so that nothing is changed here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.commands import LIMIT_S, TAILRACE, write_function
from support.namespaces import SHOWN_IN_TMP, needs_namespaces
from tailrace.emulator.isolation.namespace import may_do_without_a_user
from tailrace.emulator.processes import procfs
from tailrace.testing.waiting import until

pytestmark = needs_namespaces

LOOK = """
import os, signal, subprocess

def touch(path):
    try:
        with open(path, "a"):
            return "done"
    except OSError as error:
        return os.strerror(error.errno)

def handler(event, context):
    if "print" in event:
        subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True)
        print("up", flush=True)
        signal.pause()
    return {name: eval(text) for name, text in event.items()}
"""
SEEN = {
    "ids": "[os.getuid(), os.getgid()]",
    "capabilities": "{line.split()[1] for line in open('/proc/self/status') if line[:6] in ('CapPrm', 'CapEff')}.pop()",
    "pids": "[name for name in os.listdir('/proc') if name.isdigit()]",
    "task": "touch('/var/task/app.py')",
    "machine": "[touch(f'{folder}/tailrace-was-here') for folder in ('/usr', '/etc', '/var/tmp', '/sys', '/dev')]",
    "tmp": "os.listdir('/tmp')",
    "mount": "subprocess.run(['/bin/mount', '-t', 'tmpfs', 'none', '/mnt'], capture_output=True).returncode != 0",
}
LAMBDAS_PLACES = {
    "capabilities": "0000000000000000",
    "pids": ["1", "2"],
    "task": "Read-only file system",
    "machine": ["Read-only file system"] * 5,
    "tmp": SHOWN_IN_TMP,
    "mount": True,
}

AS_ROOT_OF_ITS_OWN = ("unshare", "--user", "--map-root-user", "--mount", "/bin/sh", "-ec")
NO_MORE_USER_NAMESPACES = "echo 0 > /proc/sys/user/max_user_namespaces"
PROC_IN_PIECES = "mount -t tmpfs -o ro none /proc/sys/kernel"
"""What containers do to hide settings; who sees /proc so, and could not undo it, may not have a whole one."""
AND_NO_WAY_BACK = f'{PROC_IN_PIECES}; exec unshare --user --map-root-user --mount "$0" "$@"'

is_real_root = os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
needs_real_root = pytest.mark.skipif(not is_real_root or not may_do_without_a_user(), reason="takes a real root")


def command(around: tuple[str, ...], preparation: str, *arguments: str | Path) -> list[str]:
    """`tailrace` with arguments, where `preparation` (shell) has changed the machine."""
    return [*around, f'{preparation}; exec "$0" "$@"', *map(str, [TAILRACE, *arguments])]


def run_there(
    tmp_path: Path, preparation: str, event: dict[str, str], *options: str, around: tuple[str, ...] = AS_ROOT_OF_ITS_OWN
) -> tuple[Any, str]:
    """The function's answer, and what was printed for people."""
    code = write_function(tmp_path / "code", LOOK)
    arguments: list[str | Path] = [
        "run",
        "app.handler",
        "--code",
        code,
        "--json",
        "--event",
        json.dumps(event),
        *options,
    ]
    result = subprocess.run(
        command(around, preparation, *arguments), capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert result.returncode == 0, result.stderr
    (invocation,) = json.loads(result.stdout)["invocations"]
    return invocation["response"], result.stderr


def test_without_user_namespaces_root_has_lambdas_places_and_no_capabilities(tmp_path: Path) -> None:
    seen, said = run_there(tmp_path, NO_MORE_USER_NAMESPACES, SEEN, "--isolation", "namespace")
    assert seen == {"ids": [0, 0], **LAMBDAS_PLACES}
    assert "namespace isolation as you, without capabilities (not allowed here: user, mount and PID namespaces:" in said


def test_a_program_run_by_root_gains_nothing_either(tmp_path: Path) -> None:
    look = {"seen": "subprocess.run(['/bin/cat', '/proc/self/status'], capture_output=True, text=True).stdout"}
    seen, _ = run_there(tmp_path, NO_MORE_USER_NAMESPACES, look)
    sets = dict(line.split() for line in seen["seen"].splitlines() if line.startswith("Cap"))
    assert len(sets) == 5
    assert set(sets.values()) == {"0000000000000000"}


def test_doctor_says_that_there_is_no_user_and_what_to_do(tmp_path: Path) -> None:
    result = subprocess.run(
        command(AS_ROOT_OF_ITS_OWN, NO_MORE_USER_NAMESPACES, "doctor", "--json"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    document = json.loads(result.stdout)
    (point,) = [check for check in document["checks"] if check["name"] == "isolation"]
    assert (document["isolation"], point["mark"]) == ("namespace", "limited")
    assert "processes in them run as you, without capabilities" in point["found"]
    assert point["remedy"] == "sudo sysctl -w user.max_user_namespaces=15000"


def test_a_killed_emulator_takes_everything_with_it_without_user_namespaces_too(tmp_path: Path) -> None:
    code = write_function(tmp_path / "code", LOOK)
    arguments: list[str | Path] = ["run", "app.handler", "--code", code, "--timeout", "900", "--event", '{"print": ""}']
    with subprocess.Popen(
        command(AS_ROOT_OF_ITS_OWN, NO_MORE_USER_NAMESPACES, *arguments),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        try:
            assert any(line == "up\n" for line in process.stdout)
            children = procfs.descendants(process.pid)
            assert len(children) >= 3  # the first process, the runtime, and what that has started
        finally:
            process.kill()
    until(lambda: all(procfs.stat(pid) is None for pid in children), 10, lambda: f"some of {children} live on")


@needs_real_root
def test_a_proc_in_pieces_is_no_hindrance_for_real_root(tmp_path: Path) -> None:
    around = ("unshare", "--mount", "/bin/sh", "-ec")
    seen, said = run_there(tmp_path, PROC_IN_PIECES, SEEN, around=around)
    assert seen == {"ids": [0, 0], **LAMBDAS_PLACES}
    assert "as you, without capabilities (not allowed here: a /proc of their own: Operation not permitted)" in said


def test_a_proc_in_pieces_leaves_plain_processes_and_the_reason_to_all_others(tmp_path: Path) -> None:
    seen, said = run_there(tmp_path, AND_NO_WAY_BACK, {"folder": "os.getcwd()"})
    assert seen == {"folder": str(tmp_path / "code")}
    assert "process isolation (not allowed here: a /proc of their own: Operation not permitted)" in said


def test_a_proc_in_pieces_is_an_error_where_namespaces_were_asked_for(tmp_path: Path) -> None:
    code = write_function(tmp_path / "code", LOOK)
    arguments: list[str | Path] = ["run", "app.handler", "--code", code, "--isolation", "namespace"]
    result = subprocess.run(
        command(AS_ROOT_OF_ITS_OWN, AND_NO_WAY_BACK, *arguments),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert result.returncode == 2
    assert "does not allow namespace isolation: no a /proc of their own (Operation not permitted)" in result.stderr


def test_control_groups_that_cannot_be_written_to_are_done_without(tmp_path: Path) -> None:
    read_only = "for m in $(grep -o ' /sys/fs/cgroup[^ ]*' /proc/self/mounts); do mount -o remount,bind,ro $m; done"
    seen, said = run_there(tmp_path, read_only, SEEN, "--isolation", "namespace")
    assert seen == {"ids": [993, 990], **LAMBDAS_PLACES}
    assert "namespace isolation  " in said


def test_what_is_mounted_below_code_and_read_only_mounts_cannot_be_written_to_either(tmp_path: Path) -> None:
    write_function(tmp_path / "code", LOOK)
    places = [tmp_path / name for name in ("code/data", "models/with a blank", "free/inner")]
    for place in places:
        place.mkdir(parents=True)
    preparation = "; ".join(f"mount -t tmpfs none '{place}'; touch '{place}/file'" for place in places)
    look = {
        "code": "[os.listdir('/var/task/data'), touch('/var/task/data/file')]",
        "read_only": "[os.listdir('/opt/models/with a blank'), touch('/opt/models/with a blank/file')]",
        "free": "touch('/opt/free/inner/file')",
    }
    mounts = ["--mount", f"{tmp_path}/models:/opt/models:ro", "--mount", f"{tmp_path}/free:/opt/free"]
    seen, _ = run_there(tmp_path, preparation, look, *mounts)
    assert seen == {
        "code": [["file"], "Read-only file system"],
        "read_only": [["file"], "Read-only file system"],
        "free": "done",
    }


def test_who_may_mount_is_told_by_effective_capabilities(tmp_path: Path) -> None:
    status = tmp_path / "status"
    for text, expected in [
        ("CapEff:\t0000000000200000\n", True),
        ("CapEff:\t00000000a80425fb\n", False),
        ("Name:\tpython\nCapPrm:\tffffffffffffffff\nCapEff:\t0000000000000000\n", False),
        (f"Name:\t{sys.platform}\n", False),
    ]:
        status.write_text(text)
        assert may_do_without_a_user(status) is expected
