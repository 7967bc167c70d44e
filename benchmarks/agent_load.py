"""What the agent costs under load: CPU, peak memory, and how long the platform waits for its answers.

    python benchmarks/agent_load.py [--records 100000] [--runs 3] [--case http] [--python PATH]

Every run starts the launcher of a freshly built layer against a local stand-in for Lambda's API and posts function
lines to it as the platform does: one request after the other over one connection, each of up to 1000 records or
256 KiB. It ends when the agent has called Next and, over HTTP, when every record has arrived: what waits on disk does
not hold Next. The ledger is checked at the end. Medians are printed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent_start import LIMIT_S, MS, post, unpack_layer
from stand_in import REQUEST_ID, StandIn
from tailrace.packaging import interpreters

LINE_CHARACTERS = 220
MAX_ITEMS = 1000
MAX_BYTES = 262_144
TIME = "2026-01-02T03:04:05.678Z"
# The clock of a process that another one reads: its number, turned round, and the kind of the clock (its CPU time).
CPU_CLOCK = 2
# A queue this small overflows to the disk nearly always.
SMALL_QUEUE_BYTES = 65_536
CASES: dict[str, dict[str, str]] = {
    "file": {},
    "file, gzip": {},
    "http": {},
    "file and http": {},
    "http, no spool": {"TAILRACE_SPOOL_DIR": "/dev/null/none"},
    "http, through the spool": {"TAILRACE_QUEUE_MAX_BYTES": str(SMALL_QUEUE_BYTES)},
}


@dataclass(frozen=True)
class Load:
    """One run: CPU for each 10,000 records, memory at its peak and half way through, the answers to posts, and the
    throughput of it all."""

    cpu_ms: float
    peak_rss_mb: float
    steady_rss_mb: float
    answers_ms: list[float]
    records_per_s: float
    requests: int


def main() -> None:
    arguments = parse_arguments()
    interpreter = interpreters.ask(arguments.python)
    if interpreter is None:
        sys.exit(f"{arguments.python} is no working Python")
    bodies = list(telemetry(arguments.records))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    print(f"{interpreter.runtime}, {machine}, medians of {arguments.runs} runs of {arguments.records} records")
    print()
    print(
        "| destination | CPU per 10,000 records | records/s for each core | peak RSS | steady RSS | "
        "answer to a post, median / 95 % | records/s | requests |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="tailrace-benchmark-") as folder:
        opt = unpack_layer(Path(folder), interpreter)
        for name in arguments.case or CASES:
            print_row(
                name, [measure(opt, Path(folder), name, bodies, arguments.records) for _ in range(arguments.runs)]
            )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="CPU and memory of the agent under load.")
    parser.add_argument("--records", type=int, default=100_000, help="lines in one invocation (default 100000)")
    parser.add_argument("--case", action="append", choices=CASES, help="repeatable (default: all)")
    parser.add_argument("--runs", type=int, default=3, help="runs for each destination (default 3)")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="the interpreter to run the layer with"
    )
    return parser.parse_args()


def telemetry(records: int) -> Iterator[bytes]:
    """The posts of one invocation that writes `records` lines."""
    events = [encoded({"time": TIME, "type": "platform.start", "record": {"requestId": REQUEST_ID}})]
    n_bytes = 0
    for number in range(records):
        line = f"{number:08} " + "x" * (LINE_CHARACTERS - 9)
        events.append(encoded({"time": TIME, "type": "function", "record": line}))
        n_bytes += len(events[-1])
        if len(events) == MAX_ITEMS or n_bytes >= MAX_BYTES:
            yield b"[" + b",".join(events) + b"]"
            events, n_bytes = [], 0
    done = {"requestId": REQUEST_ID, "status": "success"}
    events.append(encoded({"time": TIME, "type": "platform.runtimeDone", "record": done}))
    yield b"[" + b",".join(events) + b"]"


def encoded(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def measure(opt: Path, folder: Path, name: str, bodies: list[bytes], records: int) -> Load:
    """One invocation that writes a lot, delivered to the end."""
    with StandIn() as api, Sink() as sink, tempfile.TemporaryDirectory(dir=folder) as out:
        destinations = {
            "file": f"file://{out}",
            "file, gzip": f"file://{out}?compress=gzip",
            "file and http": f"file://{out} {sink.url}",
        }
        with agent(opt, folder, api, destinations.get(name, sink.url), CASES[name]) as process:
            api.wait_for_next(1, LIMIT_S)
            post(api.deliver_to, [])
            cpu_before_s = cpu_s(process.pid)
            api.invoke()
            started_s = time.monotonic()
            answers_ms, rss_mb = deliver(api.deliver_to, bodies, process.pid)
            api.wait_for_next(2, LIMIT_S)
            if name not in ("file", "file, gzip"):
                sink.wait_for_records(records + 2)
            ended_s = time.monotonic()
            used_s = cpu_s(process.pid) - cpu_before_s
            peak_mb = rss_of(process.pid, "VmHWM")
            api.shut_down()
            said = process.communicate(timeout=LIMIT_S)[0].decode().splitlines()
        check(said[-1], records)
        requests = sink.requests + len(list(Path(out).rglob("*.ndjson*")))
    steady_mb = statistics.median(rss_mb[len(rss_mb) // 2 :])
    cpu_ms = used_s * MS * 10_000 / records
    return Load(cpu_ms, peak_mb, steady_mb, answers_ms, records / (ended_s - started_s), requests)


@contextmanager
def agent(
    opt: Path, folder: Path, api: StandIn, destinations: str, more: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "TAILRACE_LISTEN_HOST": "127.0.0.1",
        "TAILRACE_SPOOL_DIR": f"{folder}/spool",
        "TAILRACE_DESTINATIONS": destinations,
        "TAILRACE_END_WAIT_MS": "10000",
        "AWS_REGION": "eu-west-1",
        "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        **more,
    }
    with subprocess.Popen([opt / "extensions" / "tailrace"], env=environment, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def deliver(url: str, bodies: list[bytes], pid: int) -> tuple[list[float], list[float]]:
    """Post one body after the other; how long each answer took, and how much memory the agent had after it."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=LIMIT_S)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answers_ms, rss_mb = [], []
    for body in bodies:
        while True:
            started_s = time.monotonic()
            connection.request("POST", "/", body)
            reply = connection.getresponse()
            reply.read()
            answers_ms.append((time.monotonic() - started_s) * MS)
            if reply.status == 200:
                break
        rss_mb.append(rss_of(pid, "VmRSS"))
    connection.close()
    return answers_ms, rss_mb


def check(last_line: str, records: int) -> None:
    rows = json.loads(last_line)
    for name, row in rows.items():
        if name != "type" and row["delivered"] != records + 2:
            sys.exit(f"not everything was delivered, so the figures would mean nothing: {last_line}")


def cpu_s(pid: int) -> float:
    """User and system time of a process, its threads that have ended included."""
    return time.clock_gettime(~pid << 3 | CPU_CLOCK)


def rss_of(pid: int, name: str) -> float:
    """Memory in MB by its name in the process's status: `VmRSS` now, `VmHWM` at its peak."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def print_row(name: str, loads: list[Load]) -> None:
    cpu = statistics.median(load.cpu_ms for load in loads)
    peak = max(load.peak_rss_mb for load in loads)
    steady = statistics.median(load.steady_rss_mb for load in loads)
    answers = sorted(answer for load in loads for answer in load.answers_ms)
    throughput = statistics.median(load.records_per_s for load in loads)
    requests = statistics.median(load.requests for load in loads)
    print(
        f"| {name} | {cpu:.0f} ms | {10_000 * MS / cpu:,.0f} | {peak:.1f} MB | {steady:.1f} MB | "
        f"{statistics.median(answers):.1f} / "
        f"{answers[len(answers) * 95 // 100]:.1f} ms | {throughput:,.0f} | {requests:.0f} |",
        flush=True,
    )


class Sink:
    """`with Sink() as sink:` is an HTTP server at `url` that takes everything and counts `requests`. Each connection
    has a thread: the agent opens another one where an answer takes its time."""

    def __init__(self) -> None:
        self.requests = 0
        self._records = 0
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Sink:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            while self._take(stream):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def _take(self, stream: Any) -> bool:
        length = 0
        if not stream.readline():
            return False
        while (header := stream.readline()) not in (b"\r\n", b""):
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        lines = stream.read(length).count(b"\n")
        with self._changed:
            self.requests += 1
            self._records += lines
            self._changed.notify_all()
        return True

    def wait_for_records(self, n: int) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._records >= n, LIMIT_S):
                sys.exit(f"only {self._records} of {n} records arrived: the figures would mean nothing")


if __name__ == "__main__":
    main()
