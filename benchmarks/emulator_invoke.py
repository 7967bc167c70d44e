"""Warm invocations through one environment, cold starts and memory, beside AWS's Runtime Interface Emulator.

    python benchmarks/emulator_invoke.py [--invocations 1000] [--rounds 5] [--install]

A client on one connection invokes one function, one call after the other. The function echoes its event: once with the
real Python client (awslambdaric), once with the smallest runtime there is (C, where a compiler is installed). Ours runs
with an extension that is subscribed to all telemetry; AWS's emulator has no telemetry, so it runs without. What an
event loop in Python needs for the exchanges alone is measured beside them. The servers take turns, round by round;
compare inside a run only. With `--install` pip fetches AWS's emulator when it is not there.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import emulator_rie
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.driver import ExecutionEnvironment, make_machine
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.machine.facts import Fact, HttpRequested
from tailrace.emulator.run_loop import loop_factory, run
from tailrace.emulator.workspace import Workspace
from tailrace.protocol import runtime_api

HERE = Path(__file__).resolve().parent
LIMIT_S = 30.0
MS = 1000.0
WARM_UP = 100
PAYLOAD = b'{"order": 1234567, "items": ["book", "lamp"]}'
REQUEST = (
    b"POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(PAYLOAD), PAYLOAD)
)
HANDLER = "def handler(event, context):\n    return event\n"
RIE = "AWS's emulator"


@dataclass
class Figures:
    """What one server did in all rounds: milliseconds of each invocation, and its own memory at the end of each."""

    latencies_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    rss_mb: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Server:
    """How a server is started; `{port}` and `{other}` stand for free ports."""

    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


def main() -> None:
    arguments = parse_arguments()
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    python = platform.python_version()
    loop = "asyncio's loop" if loop_factory() is None else "uvloop"
    print(
        f"Python {python}, {loop}, {machine}, {arguments.rounds} rounds of {arguments.invocations} invocations",
        end="\n\n",
    )
    with tempfile.TemporaryDirectory(prefix="tailrace-benchmark-") as folder:
        (Path(folder) / "app.py").write_text(HANDLER)
        extension = Path(shutil.copy(HERE / "emulator_subscriber.py", Path(folder) / "subscriber"))
        extension.chmod(0o755)
        runtimes: dict[str, tuple[str, ...]] = {"awslambdaric": (sys.executable, "-m", "awslambdaric", "app.handler")}
        bootstrap = minimal_runtime(Path(folder))
        if bootstrap is not None:
            runtimes["custom, C"] = (str(bootstrap),)
        for name, command in runtimes.items():
            compare(name, servers(command, Path(folder), extension, rie_binary(arguments)), Path(folder), arguments)
        if bootstrap is not None:
            cold_starts(Path(folder), bootstrap, arguments.rounds * 4)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed and memory of the local environment.")
    parser.add_argument("--invocations", type=int, default=1000, help="in each round (default 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each server (default 5)")
    parser.add_argument("--install", action="store_true", help="let pip fetch AWS's emulator")
    parser.add_argument("--only", default="", help="only servers with this text in their name")
    return parser.parse_args()


def rie_binary(arguments: argparse.Namespace) -> Path | None:
    try:
        return emulator_rie.find(install=arguments.install)
    except emulator_rie.NoRieError as error:
        print(f"without AWS's emulator: {error}", file=sys.stderr)
        return None


def minimal_runtime(folder: Path) -> Path | None:
    """The custom runtime, built; None without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        print("without the custom runtime: no C compiler", file=sys.stderr)
        return None
    target = folder / "bootstrap"
    source = str(HERE / "emulator_runtime.c")
    subprocess.run([compiler, "-O2", "-D_GNU_SOURCE", "-o", str(target), source], check=True)
    return target


def servers(runtime: tuple[str, ...], folder: Path, extension: Path, rie: Path | None) -> Iterator[Server]:
    """AWS's emulator first: the others are compared with it."""
    if rie is not None:
        address = ("--runtime-interface-emulator-address", "127.0.0.1:{port}")
        other = ("--runtime-api-address", "127.0.0.1:{other}")
        yield Server(RIE, (str(rie), "--log-level", "error", *address, *other, *runtime))
    serve: tuple[str, ...] = (
        sys.executable,
        "-c",
        "from tailrace.cli import main; main()",
        "serve",
        "app.handler",
        "--code",
        str(folder),
    )
    serve = (*serve, "--port", "{port}", "--quiet", "--timeout", "30")
    chosen = ("--runtime", "python") if "awslambdaric" in runtime else ("--bootstrap", runtime[0])
    subscribed = ("--extension", str(extension))
    yield Server("tailrace, all telemetry", (*serve, *chosen, *subscribed))
    yield Server("the same, --no-freeze", (*serve, *chosen, *subscribed, "--no-freeze"))
    late = ("--env", "BENCHMARK_EVENTS=SHUTDOWN")
    yield Server("all telemetry, no INVOKE events", (*serve, *chosen, *subscribed, *late))
    yield Server("tailrace, no extension", (*serve, *chosen))
    floor = (sys.executable, str(HERE / "emulator_floor.py"), "{port}")
    yield Server("floor: the same exchanges, bare", (*floor, "--extension", str(extension), "--", *runtime))
    yield Server("floor, no extension", (*floor, "--", *runtime))


def compare(title: str, found: Iterator[Server], folder: Path, arguments: argparse.Namespace) -> None:
    chosen = [server for server in found if arguments.only in server.name]
    figures = {server.name: Figures() for server in chosen}
    for _ in range(arguments.rounds):
        for server in chosen:
            measure(server, folder, arguments.invocations, figures[server.name])
    print(f"| {title} | per second | p50 ms | p95 ms | of AWS's time | first call ms | RSS MB |")
    print("|---|---|---|---|---|---|---|")
    base = figures.get(RIE)
    for name, found_figures in figures.items():
        print_row(name, found_figures, base)
    print()


def print_row(name: str, figures: Figures, base: Figures | None) -> None:
    p50 = statistics.median(figures.latencies_ms)
    p95 = statistics.quantiles(figures.latencies_ms, n=20)[-1]
    count = len(figures.latencies_ms)
    against = ""
    if base is not None:
        against = f"{(figures.seconds / count) / (base.seconds / len(base.latencies_ms)):.2f}"
    print(
        f"| {name} | {count / figures.seconds:,.0f} | {p50:.3f} | {p95:.3f} | {against} "
        f"| {statistics.median(figures.first_ms):.1f} | {statistics.median(figures.rss_mb):.1f} |"
    )


def measure(server: Server, folder: Path, invocations: int, figures: Figures) -> None:
    """One round of one server."""
    with started(server, folder) as (pid, port), connected(port) as client:
        figures.first_ms.append(invoke(client))
        for _ in range(WARM_UP):
            invoke(client)
        began_s = time.perf_counter()
        figures.latencies_ms += [invoke(client) for _ in range(invocations)]
        figures.seconds += time.perf_counter() - began_s
        figures.rss_mb.append(rss_mb(pid))


@contextmanager
def started(server: Server, folder: Path) -> Iterator[tuple[int, int]]:
    """The server's process and port, once the port is open."""
    port, other = free_port(), free_port()
    command = [part.format(port=port, other=other) for part in server.command]
    environment = {**os.environ, "AWS_LAMBDA_FUNCTION_TIMEOUT": "30", **server.variables}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(port, process)
            yield process.pid, port
        finally:
            process.send_signal(signal.SIGTERM)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    limit_s = time.monotonic() + LIMIT_S
    while time.monotonic() < limit_s and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise SystemExit(f"{process.args!r} did not start")


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield client


def invoke(client: socket.socket) -> float:
    """Milliseconds of one invocation, whose answer is checked."""
    began_s = time.perf_counter()
    client.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"}"):
        received = client.recv(65536)
        if not received:
            raise SystemExit(f"the connection was closed after {answer!r}")
        answer += received
    took_ms = (time.perf_counter() - began_s) * MS
    if not answer.startswith(b"HTTP/1.1 200") or b"1234567" not in answer:
        raise SystemExit(f"unexpected answer: {answer!r}")
    return took_ms


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000


# cold starts


class FirstNext:
    """The real machine; knows when the runtime asked for its first event."""

    def __init__(self, config: FunctionConfig, address: str, variables: Mapping[str, str]) -> None:
        self._machine = make_machine(config, address, variables)
        self.at_s = 0.0

    def handle(self, fact: Fact, now_ns: int) -> Sequence[Any]:
        if not self.at_s and isinstance(fact, HttpRequested) and fact.path == runtime_api.NEXT:
            self.at_s = time.perf_counter()
        return self._machine.handle(fact, now_ns)


async def cold_start(folder: Path, bootstrap: Path) -> tuple[float, float]:
    """Milliseconds from nothing to ready, and of these what came after the runtime's first request."""
    machines: list[FirstNext] = []

    def make(config: FunctionConfig, address: str, variables: Mapping[str, str]) -> FirstNext:
        machines.append(FirstNext(config, address, variables))
        return machines[-1]

    began_s = time.perf_counter()
    with Workspace.create() as workspace:
        config = build_function(FunctionOptions("app.handler", folder, bootstrap=bootstrap), workspace)
        async with ExecutionEnvironment(config, workspace=workspace, machine_factory=make) as environment:
            await environment.start()
            ready_s = time.perf_counter()
    return (ready_s - began_s) * MS, (ready_s - machines[0].at_s) * MS


def cold_starts(folder: Path, bootstrap: Path, count: int) -> None:
    starts = [run(cold_start(folder, bootstrap)) for _ in range(count)]
    print(f"Cold start of an environment with the C runtime, median of {count}:")
    print(f"{statistics.median(total for total, _ in starts):.1f} ms from nothing to ready,")
    print(
        f"{statistics.median(after for _, after in starts):.2f} ms of it after the runtime's first request (aim: 30)."
    )


if __name__ == "__main__":
    main()
