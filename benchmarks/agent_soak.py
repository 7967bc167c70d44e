"""The agent for long: a thousand lines a second, and a back end that comes and goes.

    python benchmarks/agent_soak.py [--minutes 10] [--lines 1000]

One function and the agent in the local environment, frozen between invocations as on Lambda: an invocation a second,
which writes its lines in ten bursts. The back end, on loopback in a process of its own, is fine, refuses connections,
answers 500, is slow, throttles, or takes requests and cuts the connection before it has answered; then it begins again.
It knows batches by their `Idempotency-Key` and keeps one copy. At the beginning it is down for so long that the agent's
memory for records is full and the spool is used; in the last minute it is fine.

The resident memory of the agent's process is printed every ten seconds, and how it grew a minute (least squares over
all samples after that outage and the first round of weathers). At the end every line must be at the back end exactly
once, or counted, and the ledger must say the same; else the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from back_end import BackEndProcess
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.invocations import new_invocation
from tailrace.emulator.observer import SilentObserver
from tailrace.emulator.processes import procfs
from tailrace.emulator.workspace import Workspace
from tailrace.packaging.own_extension import extension_path

# Weather and how long it lasts, in seconds.
ROUND = (
    ("fine", 15), ("down", 10), ("fine", 10), ("failing", 8), ("fine", 10), ("slow", 12), ("fine", 8),
    ("throttling", 7), ("fine", 10), ("forgetful", 5),
)  # fmt: skip
ROUND_S = sum(seconds for _, seconds in ROUND)
# Before that, once: long enough to fill the memory that records may take, so that memory is at its highest early.
FIRST = (("fine", 5), ("down", 45))
FIRST_S = sum(seconds for _, seconds in FIRST)
QUIET_END_S = 60
SAMPLE_S = 10.0
SLOW_S = 0.3
BURSTS = 10
AGENT = b"tailrace.agent.start"
FUNCTION = """
import time

def handler(event, context):
    number, due_s = event["first"], time.monotonic()
    for burst in range(event["bursts"]):
        for number in range(number, number + event["lines"]):
            print(number, "a line of the length that lines have, with an order 7f3c and an amount of 42.00")
        number += 1
        due_s += 0.9 / event["bursts"]
        time.sleep(max(0.0, due_s - time.monotonic()))
"""


@dataclass
class Arrived:
    """What the back end has: how often each line, by its number, and how many requests it answered how."""

    times: bytearray = field(default_factory=bytearray)
    keys: set[str] = field(default_factory=set)
    requests: dict[str, int] = field(default_factory=dict)
    records: int = 0

    def keep(self, key: str, body: bytes) -> None:
        if key in self.keys:
            return
        self.keys.add(key)
        for line in body.splitlines():
            self.records += 1
            number = int(str(json.loads(line)["record"]).split(" ", 1)[0])
            if number >= len(self.times):
                self.times.extend(bytes(number + 1 - len(self.times)))
            self.times[number] = min(255, self.times[number] + 1)


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="tailrace-benchmark-") as folder:
        (Path(folder) / "app.py").write_text(FUNCTION)
        sys.exit(asyncio.run(soak(Path(folder), arguments.minutes * 60, arguments.lines)))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="The agent's memory and ledger over minutes, with a flapping back end."
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument("--lines", type=int, default=1000, help="lines a second (default 1000)")
    return parser.parse_args()


async def soak(folder: Path, duration_s: float, lines_s: int) -> int:
    with BackEndProcess[Arrived](serve, duration_s) as back_end, Workspace.create() as workspace:
        options = FunctionOptions(
            handler="app.handler",
            code_dir=folder,
            extensions=[extension_path("tailrace")],
            variables={
                "TAILRACE_DESTINATIONS": f"http://127.0.0.1:{back_end.port}/",
                "TAILRACE_TYPES": "function",
                "TAILRACE_SPOOL_DIR": str(folder / "spool"),
            },
            timeout_s=30.0,
            isolation="process",
        )
        environment = ExecutionEnvironment(build_function(options, workspace), SilentObserver(), workspace=workspace)
        await environment.start()
        try:
            n_lines, samples = await load(environment, duration_s, lines_s)
        finally:
            await environment.shutdown()
        return report(n_lines, samples, environment.ledger, back_end.arrived())


async def load(
    environment: ExecutionEnvironment, duration_s: float, lines_s: int
) -> tuple[int, list[tuple[float, int]]]:
    """How many lines were written, and the samples: seconds since the beginning, resident bytes."""
    begun_s = time.monotonic()
    burst = max(1, lines_s // BURSTS)
    samples: list[tuple[float, int]] = []
    number = 0
    pid = agent_pid()
    print(f"{burst * BURSTS} lines a second for {duration_s / 60:g} minutes; resident memory of the agent:")
    while (elapsed_s := time.monotonic() - begun_s) < duration_s:
        payload = json.dumps({"first": number * burst * BURSTS, "bursts": BURSTS, "lines": burst}).encode()
        await environment.invoke(new_invocation(payload, environment.now_ns()))
        number += 1
        if elapsed_s >= len(samples) * SAMPLE_S:
            samples.append((elapsed_s, resident_bytes(pid)))
            print(f"{elapsed_s:6.0f} s  {samples[-1][1] / 1e6:6.1f} MB", flush=True)
        await asyncio.sleep(max(0.0, begun_s + number - time.monotonic()))
    return number * burst * BURSTS, samples


def report(
    n_lines: int, samples: list[tuple[float, int]], ledger: Mapping[str, object] | None, arrived: Arrived
) -> int:
    """Print the figures. 0 where everything is as it should be."""
    row = next((row for row in (ledger or {}).values() if isinstance(row, dict)), {})
    once = sum(times == 1 for times in arrived.times[:n_lines])
    more = sum(times > 1 for times in arrived.times)
    dropped = sum(row.get("dropped", {}).values())
    counts = ("delivered", "held", "filtered", "sampled", "rejected", "deadLettered")
    right_side = sum(row.get(name, 0) for name in counts) + dropped
    print(
        f"lines written {n_lines}, at the back end once {once}, more than once {more}, missing {n_lines - once - more}"
    )
    print(f"requests by weather: {arrived.requests}")
    print(f"ledger: {json.dumps(row)}")
    settled = [sample for sample in samples if sample[0] >= FIRST_S + ROUND_S] or samples
    slope = slope_bytes_s(settled) * 60 / 1e3
    peak = max(resident for _, resident in samples) / 1e6
    print(
        f"resident memory: from {settled[0][1] / 1e6:.1f} to {settled[-1][1] / 1e6:.1f} MB, peak {peak:.1f} MB, ",
        end="",
    )
    print(f"slope {slope:+.1f} kB a minute")
    exact = row.get("received") == right_side and row.get("delivered") == arrived.records
    exact = exact and not more and n_lines - once == dropped + row.get("rejected", 0) + row.get("held", 0)
    print(f"ledger {'exact' if exact else 'NOT EXACT'}")
    return 0 if exact else 1


def slope_bytes_s(samples: list[tuple[float, int]]) -> float:
    """Least squares."""
    n = len(samples)
    mean_s, mean_bytes = sum(at for at, _ in samples) / n, sum(size for _, size in samples) / n
    spread = sum((at - mean_s) ** 2 for at, _ in samples)
    return sum((at - mean_s) * (size - mean_bytes) for at, size in samples) / spread if spread else 0.0


def agent_pid() -> int:
    for pid in procfs.descendants(multiprocessing.current_process().pid or 0):
        try:
            if AGENT in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        except OSError:
            continue
    raise RuntimeError("the agent's process was not found")


def resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def serve(pipe: Connection, duration_s: float) -> None:
    asyncio.run(Flapping().live(pipe, duration_s))


class Flapping:
    """The back end's own process."""

    def __init__(self) -> None:
        self.arrived = Arrived()
        self.weather = "fine"
        self._writers: set[asyncio.StreamWriter] = set()

    async def live(self, pipe: Connection, duration_s: float) -> None:
        server = await self._open(0)
        port = server.sockets[0].getsockname()[1]
        pipe.send(port)
        asked = asyncio.create_task(asyncio.to_thread(pipe.recv))
        begun_s = time.monotonic()
        while not asked.done():
            elapsed_s = time.monotonic() - begun_s
            weather = weather_at(elapsed_s) if elapsed_s < duration_s - QUIET_END_S else "fine"
            if weather == "down" and server.is_serving():
                server.close()
                for writer in self._writers:
                    writer.transport.abort()
            elif weather != "down" and not server.is_serving():
                server = await self._open(port)
            self.weather = weather
            await asyncio.wait([asked], timeout=0.2)
        pipe.send(self.arrived)
        await asyncio.sleep(60)

    async def _open(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", port, limit=1 << 24, reuse_address=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                key = head.partition("idempotency-key:")[2].split("\r\n", 1)[0].strip()
                length = int(head.partition("content-length:")[2].split("\r\n", 1)[0])
                body = await reader.readexactly(length)
                await self._answer(key, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        finally:
            self._writers.discard(writer)

    async def _answer(self, key: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        weather = self.weather
        self.arrived.requests[weather] = self.arrived.requests.get(weather, 0) + 1
        if weather == "slow":
            await asyncio.sleep(SLOW_S)
        if weather in ("fine", "slow", "forgetful"):
            self.arrived.keep(key, body)
        if weather == "forgetful":
            writer.transport.abort()
            raise ConnectionResetError
        status = {"failing": "500 Oh", "throttling": "429 Later\r\nRetry-After: 1"}.get(weather, "200 OK")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())


def weather_at(elapsed_s: float) -> str:
    is_first = elapsed_s < FIRST_S
    left_s = elapsed_s if is_first else (elapsed_s - FIRST_S) % ROUND_S
    for weather, seconds in FIRST if is_first else ROUND:
        if left_s < seconds:
            return weather
        left_s -= seconds
    return "fine"


if __name__ == "__main__":
    main()
