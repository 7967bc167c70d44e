"""Processes in namespaces of their own: started, limited, frozen, ended, whoever runs the emulator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.emulator_async import run, until
from support.emulator_runs import executable
from support.namespaces import needs_namespaces, outside
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.isolation.furnishing import namespace_starter
from tailrace.emulator.isolation.level import NAMESPACE, Isolation
from tailrace.emulator.processes import procfs, subreaper
from tailrace.emulator.processes.sandbox import ProcessStartError, Sandbox
from tailrace.emulator.workspace import Workspace
from tailrace.testing.waiting import until as until_true

pytestmark = needs_namespaces

ENVIRON = {"PATH": "/usr/bin:/bin"}
NOBODY = 65534


class Listener:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.exits: list[tuple[str, int, int | None, str | None]] = []

    def lines_written(self, process: str, generation: int, texts: Sequence[str]) -> None:
        self.lines += texts

    def process_exited(self, process: str, generation: int, exit_code: int | None, signal_name: str | None) -> None:
        self.exits.append((process, generation, exit_code, signal_name))

    def processes_changed(self, processes: Mapping[int, int]) -> None:
        pass


class Attached:
    """What each process was when it was put under limits."""

    def __init__(self) -> None:
        self.programs: list[str] = []

    def __call__(self, pid: int) -> None:
        self.programs.append(Path(f"/proc/{pid}/exe").resolve().name)


@asynccontextmanager
async def sandbox(tmp_path: Path, attach: Attached | None = None) -> AsyncIterator[tuple[Sandbox, Listener, int]]:
    """With the pid of the namespaces' first process."""
    (tmp_path / "environments").mkdir(exist_ok=True)
    config = FunctionConfig(
        "f",
        "app.handler",
        tmp_path,
        ("/bin/true",),
        isolation=Isolation(NAMESPACE),
        runtime_files=(Path(sys.executable),),
    )
    listener = Listener()
    with Workspace.create(tmp_path / "environments") as workspace:
        starter = namespace_starter(config, workspace)
        box = Sandbox(listener, tmp_path, starter=starter, attach=attach)
        try:
            yield box, listener, starter.ancestor
        finally:
            await box.close()
    assert not is_alive(starter.ancestor)


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def python(script: str) -> list[str]:
    return ["/usr/bin/env", "-i", sys.executable, "-I", "-S", "-c", script]


def is_alive(pid: int) -> bool:
    stat = procfs.stat(pid)
    return stat is not None and not stat.is_dead


def state(pid: int) -> str:
    stat = procfs.stat(pid)
    return stat.state if stat else "gone"


# An orphan that kept nothing of what it was started with: parent, session, group, variables, output.
DAEMON = (
    "import os, signal\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    daemon = os.fork()\n"
    "    if daemon:\n"
    "        os.write(1, b'daemon %d\\n' % daemon)\n"
    "        os._exit(0)\n"
    "    null = os.open('/dev/null', os.O_RDWR)\n"
    "    os.dup2(null, 1)\n"
    "    os.dup2(null, 2)\n"
    "    os.execve('/bin/sleep', ['sleep', '1000'], {})\n"
    "os.wait()\n"
    "signal.pause()\n"
)


async def daemon_of(listener: Listener, first_process: int) -> int:
    await until(lambda: any(line.startswith("daemon ") for line in listener.lines))
    told = [int(line.split()[1]) for line in listener.lines if line.startswith("daemon ")]
    (pid,) = outside(told, first_process)
    await until(lambda: (stat := procfs.stat(pid)) is not None and stat.parent == first_process)
    return pid


def test_output_order_exit_codes_and_signals_are_as_without_namespaces(tmp_path: Path) -> None:
    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener, _):
            box.start("runtime", 1, shell("pwd; echo err >&2; echo out; printf end; exit 3"), ENVIRON)
            await until(lambda: listener.exits != [])
            assert listener.lines == ["/var/task", "err", "out", "end"]
            box.start("ext:a", 7, shell("kill -SEGV $$"), ENVIRON)
            await until(lambda: len(listener.exits) == 2)
            assert listener.exits == [("runtime", 1, 3, None), ("ext:a", 7, None, "SIGSEGV")]
            box.start("runtime", 2, ["/usr/bin/env"], {"A": "1"})
            await until(lambda: len(listener.exits) == 3)
            assert listener.lines[-1] == "A=1"

    run(main())


@pytest.mark.parametrize(
    ("content", "mode", "errno", "words"),
    [
        (None, 0, "ENOENT", "^No such file or directory$"),
        ("#!/bin/sh\n", 0o644, "EACCES", "^Permission denied$"),
        ("\x7fELF", 0o755, "ENOEXEC", "^Exec format error; a script's first line names its interpreter"),
        ("#!/no/such/interpreter\n", 0o755, "ENOENT", "^No such file or directory: the interpreter that its first"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused_in_the_same_words(
    tmp_path: Path, content: str | None, mode: int, errno: str, words: str
) -> None:
    if content is not None:
        (tmp_path / "program").write_text(content)
        (tmp_path / "program").chmod(mode)

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener, _):
            with pytest.raises(ProcessStartError, match=words) as caught:
                box.start("runtime", 1, ["/var/task/program"], ENVIRON)
            assert caught.value.error == errno
            assert box.is_empty
            box.start("runtime", 1, shell("exit 0"), ENVIRON)
            await until(lambda: listener.exits != [])
            assert listener.exits == [("runtime", 1, 0, None)]

    run(main())


def test_limits_are_there_before_the_program_is(tmp_path: Path) -> None:
    attached = Attached()

    async def main() -> None:
        async with sandbox(tmp_path, attached) as (box, listener, _):
            box.start("runtime", 1, shell("exit 0"), ENVIRON)
            await until(lambda: listener.exits != [])

    run(main())
    assert attached.programs == [Path(sys.executable).resolve().name]


def test_a_daemon_is_frozen_and_ended_and_nobody_else_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener, first):
            box.start("ext:other", 1, shell("exec sleep 1000"), ENVIRON)
            box.start("runtime", 1, python(DAEMON), ENVIRON)
            daemon = await daemon_of(listener, first)
            box.freeze()
            assert [state(pid) for pid in procfs.descendants(first)] == ["T"] * 3
            assert state(first) in "SR"
            box.thaw()
            box.signal("runtime", 1, "SIGKILL")
            await until(lambda: listener.exits != [] and not is_alive(daemon))
            assert listener.exits == [("runtime", 1, None, "SIGKILL")]
            assert not box.is_empty
            await until(lambda: len(procfs.descendants(first)) == 1)  # the first process has reaped the others

    run(main())


def test_closing_leaves_no_process_no_namespace_and_no_subreaper(tmp_path: Path) -> None:
    was_subreaper = subreaper.is_subreaper()
    seen: list[int] = []

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener, first):
            box.start("runtime", 1, python(DAEMON), ENVIRON)
            seen.extend([first, await daemon_of(listener, first)])
            seen.extend(procfs.descendants(first))
            box.freeze()

    run(main())
    assert [state(pid) for pid in seen] == ["gone"] * len(seen)
    assert subreaper.is_subreaper() == was_subreaper


def test_without_its_first_process_everything_has_ended_and_is_reported(tmp_path: Path) -> None:
    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener, first):
            box.start("runtime", 1, shell("exec sleep 1000"), ENVIRON)
            box.start("ext:a", 1, shell("exec sleep 1000"), ENVIRON)
            os.kill(first, signal.SIGKILL)
            await until(lambda: len(listener.exits) == 2)
            assert {exit_[3] for exit_ in listener.exits} == {"SIGKILL"}
            with pytest.raises(ProcessStartError, match="first process is gone"):
                box.start("runtime", 2, shell("exit 0"), ENVIRON)

    run(main())


EMULATOR = """
import asyncio, os, sys
from pathlib import Path
from tailrace.emulator.processes import procfs
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.isolation.furnishing import namespace_starter
from tailrace.emulator.isolation.level import NAMESPACE, Isolation
from tailrace.emulator.processes.sandbox import Sandbox
from tailrace.emulator.workspace import Workspace

class Listener:
    def lines_written(self, process, generation, texts):
        print(*texts, sep="\\n", flush=True)
    def process_exited(self, *how):
        print(how, flush=True)
        ended.set()
    def processes_changed(self, processes):
        known.update(processes)

async def main():
    config = FunctionConfig("f", "app.handler", Path(sys.argv[1]), ("/bin/true",), isolation=Isolation(NAMESPACE))
    with Workspace.create() as workspace:
        box = Sandbox(Listener(), config.code_dir, starter=namespace_starter(config, workspace))
        box.start("runtime", 1, ["/bin/sh", "-c", "kill -STOP $$; " + sys.argv[2]], {"PATH": "/usr/bin:/bin"})
        while [procfs.stat(pid).state for pid in known] != ["T"]:
            await asyncio.sleep(0.001)
        assert box.measure_memory() > 100_000
        box.thaw()
        await ended.wait()
        await box.close()

ended = asyncio.Event()
known = {}
asyncio.run(main())
"""


def as_nobody(tmp_path: Path, script: str) -> subprocess.Popen[str]:
    """The sandbox in an emulator that runs without any privilege, by the system's own interpreter."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "file").write_text("of the code\n")
    os.chown(code / "file", NOBODY, NOBODY)
    for folder in (*reversed(tmp_path.parents), tmp_path, code):
        if folder.stat().st_uid == os.getuid() and folder.is_relative_to("/tmp/pytest-of-root"):
            folder.chmod(folder.stat().st_mode | 0o055)
    sources = str(Path(sys.modules["tailrace"].__file__ or "").parent.parent)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    return subprocess.Popen(
        ["/usr/bin/python3", "-B", "-c", EMULATOR, str(code), script],
        env={"PYTHONPATH": sources, "TMPDIR": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )


needs_root = pytest.mark.skipif(
    os.getuid() != 0 or not Path("/usr/bin/python3").exists(), reason="becomes another user with the system's Python"
)


@needs_root
def test_no_privilege_is_needed(tmp_path: Path) -> None:
    process = as_nobody(tmp_path, "id -u; id -un; cat file; touch file; touch /tmp/x; ls /tmp; getent hosts sandbox")
    output, _ = process.communicate(timeout=30)
    assert output.splitlines() == [
        "993",
        "sbx_user1051",
        "of the code",
        "touch: cannot touch 'file': Read-only file system",
        "x",
        output.splitlines()[5],
        "('runtime', 1, 0, None)",
    ]
    assert output.splitlines()[5].split() == ["127.0.0.1", "sandbox", "sandbox.localdomain"]
    assert list((tmp_path / "home").glob("tailrace-*/environment-*")) == []


@needs_root
@pytest.mark.parametrize("as_root", [True, False])
def test_a_killed_emulator_takes_everything_with_it(tmp_path: Path, as_root: bool) -> None:
    """Without privileges as well; no mount is left either, as none was ever made outside."""
    mounts = Path("/proc/self/mountinfo").read_text()
    script = "setsid sleep 1000 & echo up; sleep 1000"
    if as_root:
        command = [sys.executable, "-c", EMULATOR, str(tmp_path), script]
        process = subprocess.Popen(command, env={"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True)
    else:
        process = as_nobody(tmp_path, script)
    assert process.stdout is not None
    with process.stdout:
        try:
            assert process.stdout.readline() == "up\n"
            children = procfs.descendants(process.pid)
            assert len(children) >= 3
        finally:
            process.kill()
            process.wait()
    until_true(lambda: not any(map(is_alive, children)), 10, lambda: f"{children} live on")
    assert Path("/proc/self/mountinfo").read_text() == mounts


GO_EXTENSION = """package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	data, err := os.ReadFile("/var/task/data")
	fmt.Println(string(data), err)
	fmt.Println(os.Args[0], os.Getuid(), os.WriteFile("/tmp/x", data, 0o600))
	listener, err := net.Listen("tcp", "sandbox.localdomain:0")
	fmt.Println(listener != nil, err)
}
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/usr/local/go/bin/go").exists(), reason="takes a Go compiler")
def test_a_static_binary_finds_lambdas_places(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(GO_EXTENSION)
    (tmp_path / "data").write_text("of the code")
    build = ["/usr/local/go/bin/go", "build", "-o", str(tmp_path / "program"), str(tmp_path / "main.go")]
    subprocess.run(build, check=True, env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}, cwd=tmp_path)

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener, _):
            box.start("ext:program", 1, ["/var/task/program"], ENVIRON)
            await until(lambda: listener.exits != [])
            assert listener.lines == ["of the code <nil>", "/var/task/program 993 <nil>", "true <nil>"]

    run(main())


def test_a_script_in_the_code_may_have_any_name(tmp_path: Path) -> None:
    executable(tmp_path / "späte ”Zeile“ (1)", '#!/bin/sh\necho "$0"\n')

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener, _):
            box.start("runtime", 1, ["/var/task/späte ”Zeile“ (1)"], ENVIRON)
            await until(lambda: listener.exits != [])
            assert listener.lines == ["/var/task/späte ”Zeile“ (1)"]

    run(main())
