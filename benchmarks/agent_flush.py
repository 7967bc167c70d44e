"""What each flush policy costs an invocation, and when its last line arrives.

    python benchmarks/agent_flush.py [--invocations 30] [--interval 0.2] [--policy adaptive] [--latency 50]

Every run takes one function and the agent through the local environment, frozen between invocations as on Lambda, with
a back end on loopback in a process of its own that answers after a given time, or is not there. The function
writes 20 lines, works for a while and writes one more. For each invocation from the third on is measured:

* caller: from handing the invocation in to its answer. Answers do not wait for extensions.
* added: from the answer until the platform has closed the invocation, less what the same takes without any extension
  (medians). This is what is billed and what keeps the environment from taking the next invocation.
* beyond the floor: the same, less what it takes with an extension that waits for `platform.runtimeDone`, which the
  platform's own buffer delays, calls Next at once, and delivers nothing.
* age: from the moment when the last line was written to the moment when the back end had it; and how many of the last
  lines were there before the next invocation began.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from back_end import BackEndProcess
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.invocations import new_invocation
from tailrace.emulator.observer import SilentObserver
from tailrace.emulator.workspace import Workspace
from tailrace.packaging.own_extension import extension_path

# The least that anybody can cost who delivers the last lines before the freeze: an extension that waits for the end of
# the invocation, and delivers nothing.
FLOOR = "floor"
POLICIES = ("end", "periodic,1000", "continuous", "adaptive, held", "adaptive, steady")
# Adaptive as it is while traffic is sparse (the first 20 invocations, too), and as it is when traffic has been steady.
VARIANTS = {"held": "TAILRACE_STEADY_MS=0", "steady": "TAILRACE_STEADY_AFTER=2"}
LATENCIES = ("5", "50", "500", "dead")
WARM_UP = 2
MS = 1000.0
FUNCTION = """
import time

def handler(event, context):
    for number in range(20):
        print("line", number, "of", event["n"])
    time.sleep(event["work_s"])
    print("last", event["n"], time.monotonic())
"""


@dataclass(frozen=True)
class Run:
    """One run's figures for each invocation after the warm-up, in milliseconds. `ages_ms` lacks what never arrived."""

    caller_ms: list[float]
    busy_ms: list[float]
    ages_ms: list[float]
    in_time: int


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="tailrace-benchmark-") as folder:
        (Path(folder) / "app.py").write_text(FUNCTION)
        bare = asyncio.run(measure(Path(folder), arguments, None, "dead"))
        print_head(arguments, bare)
        for latency in arguments.latency or LATENCIES:
            # Beside every latency: the machine has other work now and then.
            floor = asyncio.run(measure(Path(folder), arguments, FLOOR, "dead"))
            print_row("-", FLOOR, floor, bare, floor)
            for policy in arguments.policy or POLICIES:
                run = asyncio.run(measure(Path(folder), arguments, policy, latency))
                print_row(latency, policy, run, bare, floor)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Added time per invocation and age of the last line, by flush policy.")
    parser.add_argument("--invocations", type=int, default=30, help="in a run (default 30)")
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between two of them (default 0.2)")
    parser.add_argument("--work", type=float, default=0.06, help="seconds that the function works (default 0.06)")
    parser.add_argument("--policy", action="append", help=f"repeatable (default {' '.join(POLICIES)})")
    parser.add_argument("--latency", action="append", help=f"ms or dead, repeatable (default {' '.join(LATENCIES)})")
    return parser.parse_args()


async def measure(folder: Path, arguments: argparse.Namespace, policy: str | None, latency: str) -> Run:
    """One life of an environment. Without `policy` there is no extension in it."""
    async with AsyncExitStack() as stack:
        sink = stack.enter_context(back_end(latency))
        name, _, variant = (policy or "").partition(", ")
        variables = [
            f"TAILRACE_FLUSH={name}",
            VARIANTS.get(variant, "TAILRACE_STEADY_AFTER=20"),
            f"TAILRACE_DESTINATIONS=http://127.0.0.1:{sink.port}/",
            "TAILRACE_TYPES=function",
            f"TAILRACE_SPOOL_DIR={folder}/spool-{sink.port}",
            "BENCHMARK_HOLD=1",
        ]
        options = FunctionOptions(
            handler="app.handler",
            code_dir=folder,
            extensions=extensions_of(policy, folder),
            variables=dict(variable.split("=", 1) for variable in variables),
            timeout_s=10.0,
            isolation="process",
        )
        environment = await stack.enter_async_context(running(options))
        timings = [await invoke(environment, n, arguments) for n in range(arguments.invocations)]
        await environment.shutdown()
        arrived = sink.arrived()
    return figures(timings, arrived)


def extensions_of(policy: str | None, folder: Path) -> list[Path]:
    if policy is None:
        return []
    if policy != FLOOR:
        return [extension_path("tailrace")]
    extension = Path(shutil.copy(Path(__file__).with_name("emulator_subscriber.py"), folder / "floor"))
    extension.chmod(0o755)
    return [extension]


@asynccontextmanager
async def running(options: FunctionOptions) -> AsyncIterator[ExecutionEnvironment]:
    with Workspace.create() as workspace:
        environment = ExecutionEnvironment(build_function(options, workspace), SilentObserver(), workspace=workspace)
        await environment.start()
        try:
            yield environment
        finally:
            await environment.shutdown()


async def invoke(
    environment: ExecutionEnvironment, number: int, arguments: argparse.Namespace
) -> tuple[float, float, float]:
    """When it was handed in, answered and closed (monotonic seconds). Returns when the next one is due."""
    payload = json.dumps({"n": number, "work_s": arguments.work}).encode()
    begun_s = time.monotonic()
    pending = environment.submit(new_invocation(payload, environment.now_ns()))
    await asyncio.shield(pending.answered)
    answered_s = time.monotonic()
    await asyncio.shield(pending.closed)
    closed_s = time.monotonic()
    await asyncio.sleep(max(0.0, begun_s + arguments.interval - closed_s))
    return begun_s, answered_s, closed_s


def figures(timings: list[tuple[float, float, float]], arrived: dict[int, tuple[float, float]]) -> Run:
    counted = range(WARM_UP, len(timings))
    ends = [begun_s for begun_s, _, _ in timings[1:]]
    in_time = [n for n in counted if n in arrived and n < len(ends) and arrived[n][1] < ends[n]]
    return Run(
        caller_ms=[(timings[n][1] - timings[n][0]) * MS for n in counted],
        busy_ms=[(timings[n][2] - timings[n][1]) * MS for n in counted],
        ages_ms=[(arrived[n][1] - arrived[n][0]) * MS for n in counted if n in arrived],
        in_time=len(in_time),
    )


def back_end(latency: str) -> BackEndProcess[dict[int, tuple[float, float]]]:
    """Answers after so many milliseconds, or `dead`: the port refuses. For each invocation whose last line came it
    knows when that was written and when it was here."""
    return BackEndProcess(serve, latency)


def serve(pipe: Connection, latency: str) -> None:
    asyncio.run(sink(pipe, latency))


async def sink(pipe: Connection, latency: str) -> None:
    seen: dict[int, tuple[float, float]] = {}

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                body = await reader.readexactly(length)
                note(body, time.monotonic(), seen)
                await asyncio.sleep(float(latency) / MS)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 24)
    port = server.sockets[0].getsockname()[1]
    if latency == "dead":
        server.close()
        await server.wait_closed()
    pipe.send(port)
    await asyncio.to_thread(pipe.recv)
    pipe.send(seen)
    await asyncio.sleep(60)


def note(body: bytes, now_s: float, seen: dict[int, tuple[float, float]]) -> None:
    for line in body.splitlines():
        words = str(json.loads(line).get("record", "")).split()
        if words[:1] == ["last"]:
            seen.setdefault(int(words[1]), (float(words[2]), now_s))


def print_head(arguments: argparse.Namespace, bare: Run) -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs; ", end="")
    print(f"{arguments.invocations} invocations, one every {arguments.interval:g} s, from the third on")
    print(f"without extension: caller {spread(bare.caller_ms)} ms, busy after the answer {spread(bare.busy_ms)} ms")
    print()
    print(
        "| back end | policy | caller, median / 95 % | added, median / 95 % | beyond the floor, median / 95 % | "
        "age of the last line | there in time |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)


def print_row(latency: str, policy: str, run: Run, bare: Run, floor: Run) -> None:
    answers_in = f"{latency} ms" if latency.isdigit() else latency
    added = less(run.busy_ms, bare.busy_ms)
    beyond = less(run.busy_ms, floor.busy_ms)
    ages = f"{spread(run.ages_ms)} ms" if run.ages_ms else "-"
    in_time = f"{run.in_time} of {len(run.busy_ms) - 1}" if run.ages_ms else "-"
    print(
        f"| {answers_in} | {policy} | {spread(run.caller_ms)} ms | {spread(added)} ms | {spread(beyond)} ms | "
        f"{ages} | {in_time} |",
        flush=True,
    )


def less(figures_ms: list[float], without_ms: list[float]) -> list[float]:
    """`figures_ms`, each less the median of what is there without."""
    return [figure_ms - statistics.median(without_ms) for figure_ms in figures_ms]


def spread(figures_ms: list[float]) -> str:
    ordered = sorted(figures_ms)
    return f"{statistics.median(ordered):.1f} / {ordered[math.ceil(0.95 * len(ordered)) - 1]:.1f}"


if __name__ == "__main__":
    main()
