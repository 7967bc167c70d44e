"""The shell of faults piece by piece: connections, disks, and what the platform hears of a delivery."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support.emulator_async import run, until
from tailrace.emulator.faults import connections, effects
from tailrace.emulator.faults.disk import DiskFiller
from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.faults.half_sent import send_half
from tailrace.emulator.faults.runner import FaultRunner
from tailrace.emulator.faults.telemetry_shell import TelemetryShell
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import PostTelemetry, SignalProcess
from tailrace.emulator.machine.facts import TelemetryAnswered

POST = PostTelemetry(1, "a", "http://sandbox.localdomain:1234/in", b"[1,2,3,4]", (1,))

CLIENT = """
import errno, socket, sys
connections = [socket.create_connection(("127.0.0.1", int(port))) for port in sys.argv[1:]]
listener = socket.create_server(("127.0.0.1", 0))
inner = socket.create_connection(listener.getsockname())
other, _ = listener.accept()
print(listener.getsockname()[1], flush=True)
sys.stdin.readline()
for connection in [*connections, inner, other]:
    try:
        connection.sendall(b"x")
        print("alive", flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def servers() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        yield one, other


def test_only_what_leads_out_of_the_environment_is_cut(servers: tuple[socket.socket, socket.socket]) -> None:
    back_end, api = (server.getsockname()[1] for server in servers)
    command = [sys.executable, "-I", "-S", "-c", CLIENT, str(back_end), str(api)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdout.readline()
        assert connections.cut([client.pid], api, [client.pid]) == (1, "")
        client.stdin.write("\n")
        client.stdin.flush()
        found = [client.stdout.readline().strip() for _ in range(4)]
        client.stdin.close()

    assert found == ["ECONNRESET", "alive", "alive", "alive"]
    peer, _ = servers[0].accept()
    with peer, pytest.raises(ConnectionResetError):
        peer.recv(1)


def test_a_process_that_is_gone_has_nothing_to_cut() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
        assert connections.cut([process.pid], 0, [process.pid]) == (0, "")


def test_this_machines_own_disk_is_never_filled() -> None:
    filler = DiskFiller()
    assert filler.fill([os.getpid()], 0) == "the environment has no /tmp of its own"
    filler.release()


class FakeSender:
    def __init__(self) -> None:
        self.posts: list[PostTelemetry] = []
        self.cuts: list[str] = []

    def post(self, effect: PostTelemetry) -> None:
        self.posts.append(effect)

    def cut(self, subscriber: str = "") -> None:
        self.cuts.append(subscriber)


class Shell:
    def __init__(self) -> None:
        self.told: list[facts.Fact] = []
        self.sender = FakeSender()
        self.shell = TelemetryShell(self.told.append)
        self.shell.sender = self.sender

    def post(self, what: str, **parameters: int | bool) -> None:
        self.shell.post(effects.PostTelemetryBadly(POST, Fault(what, **parameters)))  # type: ignore[arg-type]


def test_a_delivery_without_fault_and_other_facts_pass_through() -> None:
    shell = Shell()
    shell.shell.answered(TelemetryAnswered(9, 200))
    shell.shell.answered(facts.InitRequested())
    assert shell.told == [TelemetryAnswered(9, 200), facts.InitRequested()]


def test_a_status_is_what_the_platform_sees_whatever_was_answered() -> None:
    shell = Shell()
    shell.post("telemetry-5xx", status=502)
    shell.shell.answered(TelemetryAnswered(1, 200))
    assert shell.told == [TelemetryAnswered(1, 502)]


def test_a_lost_answer_cuts_the_connection() -> None:
    shell = Shell()
    shell.post("telemetry-reset", reaches_subscriber=True)
    shell.shell.answered(TelemetryAnswered(1, 200))
    assert shell.told == [TelemetryAnswered(1, 0, "connection reset by peer")]
    assert shell.sender.cuts == ["a"]


def test_copies_are_sent_after_the_answer_and_answered_once() -> None:
    shell = Shell()
    shell.post("telemetry-duplicate", copies=2)
    for _ in range(3):
        assert shell.told == []
        shell.shell.answered(TelemetryAnswered(1, 200))
    assert shell.sender.posts == [POST] * 3
    assert shell.told == [TelemetryAnswered(1, 200)]


def test_a_batch_that_was_refused_is_not_sent_twice() -> None:
    shell = Shell()
    shell.post("telemetry-duplicate")
    shell.shell.answered(TelemetryAnswered(1, 500))
    assert shell.sender.posts == [POST]
    assert shell.told == [TelemetryAnswered(1, 500)]


def test_a_late_answer_is_told_late_and_after_it_was_given_up_not_at_all() -> None:
    async def main() -> None:
        shell = Shell()
        shell.post("telemetry-late", delay_ms=1)
        shell.shell.answered(TelemetryAnswered(1, 200))
        assert shell.told == []
        await until(lambda: shell.told == [TelemetryAnswered(1, 200)])

        shell.post("telemetry-late", delay_ms=60_000)
        shell.shell.answered(TelemetryAnswered(1, 200))
        shell.shell.abandon(1)
        assert shell.sender.cuts == ["a"]
        assert len(shell.told) == 1

    run(main())


def test_a_batch_that_never_arrives_is_told_in_the_next_turn() -> None:
    async def main() -> None:
        shell = Shell()
        shell.post("telemetry-reset")
        assert shell.told == []
        await until(lambda: bool(shell.told))
        assert shell.sender.posts == []
        assert shell.told == [TelemetryAnswered(1, 0, "connection reset by peer")]
        await shell.shell.close()

    run(main())


def test_half_of_a_batch_is_on_the_wire_when_the_signal_is_sent(servers: tuple[socket.socket, socket.socket]) -> None:
    import asyncio

    async def main() -> None:
        server, _ = servers
        received = bytearray()
        halfway: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.extend(await reader.readuntil(b"[1,2"))
            writer.transport.abort()

        async with await asyncio.start_server(serve, sock=server):
            uri = f"http://sandbox:{server.getsockname()[1]}/in"
            post = PostTelemetry(1, "a", uri, POST.body, (1,))
            error = await send_half(post, lambda: halfway.append(b""))
        assert error in ("connection closed before an answer", "connection reset by peer")
        assert received.endswith(b"Content-Length: 9\r\n\r\n[1,2")
        assert halfway == [b""]

    run(main())


def test_a_subscriber_that_cannot_be_reached_is_signalled_all_the_same() -> None:
    async def main() -> None:
        told: list[facts.Fact] = []
        signals: list[str] = []
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            post = PostTelemetry(1, "a", f"http://sandbox:{unused.getsockname()[1]}/", b"[]", (1,))
            shell = TelemetryShell(told.append)
            signal = SignalProcess("ext:a", 1, "SIGKILL")
            shell.post_and_signal(effects.SignalDuringPost(post, signal), lambda: signals.append("sent"))
            await until(lambda: bool(told))
        assert signals == ["sent"]
        assert told == [TelemetryAnswered(1, 0, "connection refused")]

    run(main())


class FakeProcesses:
    def __init__(self, pid: int) -> None:
        self.pid = pid

    def signal(self, name: str, generation: int, signal_name: str) -> None: ...

    def members(self, name: str = "") -> list[int]:
        return [self.pid]


class FakeApi:
    address = "127.0.0.1:1"

    def cut_idle(self) -> None: ...


def test_a_limit_on_files_is_lifted_again() -> None:
    problems: list[str] = []
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        runner = FaultRunner(lambda _: None, lambda _, problem: problems.append(problem))
        runner.attach(FakeProcesses(process.pid), FakeSender(), FakeApi())
        before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        runner.execute(effects.LimitFileSize("ext:a", 100))
        assert resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[0] == 100
        runner.execute(effects.LimitFileSize("ext:a", None))
        assert resource.prlimit(process.pid, resource.RLIMIT_FSIZE) == (before[1], before[1])
    assert problems == []


def test_what_cannot_be_done_is_said() -> None:
    problems: list[str] = []
    runner = FaultRunner(lambda _: None, lambda _, problem: problems.append(problem))
    runner.attach(FakeProcesses(os.getpid()), FakeSender(), FakeApi())
    runner.execute(effects.FillDisk(0))
    assert problems == ["the environment has no /tmp of its own"]
