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
from tailrace.emulator.processes import procfs, subreaper
from tailrace.emulator.processes.sandbox import ProcessStartError, Sandbox

ENVIRON = {"PATH": "/usr/bin:/bin"}


class Listener:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.exits: list[tuple[str, int, int | None, str | None]] = []
        self.known: dict[int, int] = {}

    def lines_written(self, process: str, generation: int, texts: Sequence[str]) -> None:
        self.lines.extend(texts)

    def process_exited(self, process: str, generation: int, exit_code: int | None, signal_name: str | None) -> None:
        self.exits.append((process, generation, exit_code, signal_name))

    def processes_changed(self, processes: Mapping[int, int]) -> None:
        self.known = dict(processes)


@asynccontextmanager
async def sandbox(tmp_path: Path) -> AsyncIterator[tuple[Sandbox, Listener]]:
    listener = Listener()
    box = Sandbox(listener, tmp_path)
    try:
        yield box, listener
    finally:
        await box.close()


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def python(script: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", script]


def is_alive(pid: int) -> bool:
    stat = procfs.stat(pid)
    return stat is not None and not stat.is_dead


def state(pid: int) -> str:
    stat = procfs.stat(pid)
    return stat.state if stat else "gone"


def parent_of(pid: int) -> int | None:
    stat = procfs.stat(pid)
    return stat.parent if stat else None


# A child in a session of its own whose parent has ended: an orphan that no process group leads to.
DAEMON = (
    "import os, signal, sys\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        os.write(1, b'daemon %d\\n' % os.getpid())\n"
    "        signal.pause()\n"
    "    os._exit(0)\n"
    "os.wait()\n"
    "signal.pause()\n"
)


def test_lines_come_before_the_exit_and_the_working_folder_is_the_codes(tmp_path: Path) -> None:
    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            box.start("runtime", 1, shell("pwd; echo err >&2; echo out; printf end; exit 3"), ENVIRON)
            await until(lambda: listener.exits != [] and len(listener.lines) == 4)
            assert listener.lines == [str(tmp_path), "err", "out", "end"]
            assert listener.exits == [("runtime", 1, 3, None)]

    run(main())


def test_the_two_streams_keep_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            box.start("runtime", 1, shell("for n in 1 2 3 4 5; do echo o$n; echo e$n >&2; done"), ENVIRON)
            await until(lambda: len(listener.lines) == 10)
            assert listener.lines == [kind + n for n in "12345" for kind in "oe"]

    run(main())


def test_only_the_given_variables_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            box.start("runtime", 1, ["/usr/bin/env"], {"A": "1"})
            await until(lambda: listener.exits != [])
            assert listener.lines == ["A=1"]

    run(main())


def test_a_signal_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            box.start("ext:a", 7, shell("kill -SEGV $$"), ENVIRON)
            await until(lambda: listener.exits != [])
            assert listener.exits == [("ext:a", 7, None, "SIGSEGV")]

    run(main())


@pytest.mark.parametrize(
    ("content", "mode", "errno"), [(None, 0, "ENOENT"), ("#!/bin/sh\n", 0o644, "EACCES"), ("\x7fELF", 0o755, "ENOEXEC")]
)
def test_a_file_that_cannot_be_run_is_refused_with_its_errno(
    tmp_path: Path, content: str | None, mode: int, errno: str
) -> None:
    path = tmp_path / "program"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            with pytest.raises(ProcessStartError) as caught:
                box.start("runtime", 1, [str(path)], ENVIRON)
            assert caught.value.error == errno
            assert box.is_empty
            assert listener.exits == []

    run(main())


def test_a_script_whose_interpreter_is_missing_is_not_said_to_be_missing_itself(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)

    async def main() -> None:
        async with sandbox(tmp_path) as (box, _):
            with pytest.raises(ProcessStartError, match="the interpreter that its first line names"):
                box.start("runtime", 1, [str(path)], ENVIRON)

    run(main())


def test_freezing_stops_the_whole_tree_even_what_changed_its_session(tmp_path: Path) -> None:
    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            box.start("runtime", 1, python(DAEMON), ENVIRON)
            await until(lambda: listener.lines != [])
            daemon = int(listener.lines[0].split()[1])
            await until(lambda: parent_of(daemon) == os.getpid())
            box.freeze()
            assert [state(pid) for pid in listener.known] == ["T"] * 2
            assert daemon in listener.known
            box.thaw()
            await until(lambda: all(state(pid) in "SR" for pid in listener.known))

    run(main())


def test_freezing_catches_a_tree_that_keeps_forking(tmp_path: Path) -> None:
    forker = "import os\nwhile True:\n    if os.fork(): os.wait()\n    else: os._exit(0)\n"

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            for n in range(2):
                box.start(f"ext:{n}", 1, python(forker), ENVIRON)
            await until(lambda: len(listener.known) >= 2)
            for _ in range(20):
                box.freeze()
                running = [pid for pid in procfs.descendants(os.getpid()) if state(pid) not in ("T", "Z", "gone")]
                assert running == []
                box.thaw()

    run(main())


def test_killing_a_process_takes_everything_it_started_and_nothing_else(tmp_path: Path) -> None:
    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            box.start("ext:other", 1, shell("exec sleep 1000"), ENVIRON)
            box.start("runtime", 1, python(DAEMON), ENVIRON)
            await until(lambda: listener.lines != [])
            daemon = int(listener.lines[0].split()[1])
            box.freeze()
            box.thaw()
            box.signal("runtime", 1, "SIGKILL")
            await until(lambda: listener.exits != [] and not is_alive(daemon))
            assert listener.exits == [("runtime", 1, None, "SIGKILL")]
            assert not box.is_empty

    run(main())


def test_a_polite_signal_reaches_the_group_and_an_old_generation_is_left_alone(tmp_path: Path) -> None:
    family = (
        "import os, signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "child = os.fork()\n"
        "name = b'parent' if child else b'child'\n"
        "os.write(1, name + b' up\\n')\n"
        "signal.sigwait({signal.SIGTERM})\n"
        "os.write(1, name + b' told\\n')\n"
        "if child: os.wait()\n"
    )

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            box.start("runtime", 2, python(family), ENVIRON)
            await until(lambda: {"parent up", "child up"} <= set(listener.lines))
            box.signal("runtime", 1, "SIGTERM")
            box.signal("runtime", 2, "SIGTERM")
            await until(lambda: listener.exits != [])
            assert {"parent told", "child told"} <= set(listener.lines)
            assert listener.exits == [("runtime", 2, 0, None)]

    run(main())


def test_a_frozen_tree_can_be_killed(tmp_path: Path) -> None:
    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            box.start("runtime", 1, shell("echo up; sleep 1000"), ENVIRON)
            await until(lambda: listener.lines != [])
            box.freeze()
            box.signal("runtime", 1, "SIGKILL")
            await until(lambda: listener.exits != [])

    run(main())


def test_closing_leaves_nothing_behind_and_gives_back_the_subreapers_role(tmp_path: Path) -> None:
    before = subreaper.is_subreaper()
    seen: list[int] = []

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            assert subreaper.is_subreaper()
            box.start("runtime", 1, python(DAEMON), ENVIRON)
            await until(lambda: listener.lines != [])
            seen.append(int(listener.lines[0].split()[1]))
            box.freeze()
            seen.extend(listener.known)

    run(main())
    assert [pid for pid in seen if is_alive(pid)] == []
    assert subreaper.is_subreaper() == before


# A daemon that kept nothing of what it was started with: parent, session, group, variables, output.
STRANGER = (
    "import os, signal\n"
    "child = os.fork()\n"
    "if child == 0:\n"
    "    os.setsid()\n"
    "    stranger = os.fork()\n"
    "    if stranger:\n"
    "        os.write(1, b'%d %d\\n' % (stranger, os.getpid()))\n"
    "        os._exit(0)\n"
    "    os.setsid()\n"
    "    null = os.open('/dev/null', os.O_RDWR)\n"
    "    os.dup2(null, 1)\n"
    "    os.dup2(null, 2)\n"
    "    os.execve('/bin/sleep', ['sleep', '1000'], {})\n"
    "os.waitpid(child, 0) if WAIT else None\n"
    "signal.pause() if STAY else None\n"
)


@pytest.mark.parametrize("stays", [True, False])
def test_a_daemon_that_kept_nothing_of_its_origin_is_frozen_and_ended_all_the_same(tmp_path: Path, stays: bool) -> None:
    """Whether the process that it came from still runs or not; none of them is left as a zombie."""
    seen: list[int] = []
    script = STRANGER.replace("WAIT", str(stays)).replace("STAY", str(stays))

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            box.start("ext:other", 1, shell("exec sleep 1000"), ENVIRON)
            box.start("runtime", 1, python(script), ENVIRON)
            await until(lambda: listener.lines != [])
            stranger, parent = map(int, listener.lines[0].split())
            seen.extend([stranger, parent])
            await until(lambda: parent_of(stranger) == os.getpid())
            await until(lambda: stays or listener.exits != [])
            box.freeze()
            assert state(stranger) == "T"
            box.thaw()

    run(main())
    assert [state(pid) for pid in seen] == ["gone", "gone"]


def test_one_environment_never_takes_the_orphan_of_another(tmp_path: Path) -> None:
    async def main() -> None:
        async with sandbox(tmp_path) as (one, _), sandbox(tmp_path) as (two, listener):
            one.start("runtime", 1, shell("exec sleep 1000"), ENVIRON)
            two.start("runtime", 1, python(DAEMON), ENVIRON)
            await until(lambda: listener.lines != [])
            daemon = int(listener.lines[0].split()[1])
            await until(lambda: parent_of(daemon) == os.getpid())
            one.freeze()
            assert state(daemon) in "SR"
            two.freeze()
            assert state(daemon) == "T"

    run(main())


def test_children_of_the_host_program_are_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(["/bin/sleep", "1000"], process_group=0)
    try:

        async def main() -> None:
            async with sandbox(tmp_path) as (box, listener):
                box.start("runtime", 1, shell("echo up; sleep 1000"), ENVIRON)
                await until(lambda: listener.lines != [])
                box.freeze()
                assert state(other.pid) in "SR"
                assert other.pid not in listener.known

        run(main())
        assert other.poll() is None
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()


def test_memory_is_the_sum_over_the_tree_and_follows_it(tmp_path: Path) -> None:
    grow = (
        "import time, os\nos.read(0, 1)\nx = b'a' * 30_000_000\nprint('grown', flush=True)\nwhile True: time.sleep(9)"
    )

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            box.start("ext:a", 1, shell("echo up; exec sleep 1000"), ENVIRON)
            await until(lambda: listener.lines != [])
            small = box.measure_memory()
            box.start("runtime", 1, python(grow), ENVIRON)
            await until(lambda: "grown" in listener.lines)
            assert box.measure_memory() > small + 30_000_000
            assert box.measure_memory(rescan=False) > small + 30_000_000

    run(main())


def test_without_pidfds_the_exit_is_heard_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, flags: int = 0) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", forbidden)

    async def main() -> None:
        async with sandbox(tmp_path) as (box, listener):
            box.start("runtime", 1, shell("exit 5"), ENVIRON)
            await until(lambda: listener.exits != [])
            assert listener.exits == [("runtime", 1, 5, None)]

    run(main())
