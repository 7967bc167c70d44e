"""How fast the emulator delivers telemetry: one function writes lines, one, five and ten extensions get them all.

    python benchmarks/telemetry_delivery.py [--records 200000] [--runs 3] [--subscribers 1,5,10] [--record] [--json]

Every run starts a real environment: a custom runtime that prints the lines of one invocation, and extensions that
subscribe to them over HTTP and count what they are sent. The time runs from the invocation's begin until the last
subscriber has acknowledged the last line. A run that lost a record is no result and ends the benchmark. The figure
to compare is records for each CPU-second of the emulator's own process, which does all of it on one thread: function
and subscribers are processes of their own. Medians are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tailrace.emulator import run_loop
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.function import ExtensionFile, FunctionConfig
from tailrace.emulator.invocations import new_invocation

LINE_CHARACTERS = 100
LIMIT_S = 120.0

API = """#!@PYTHON@ -IS
import os, socket, sys
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
api = socket.create_connection((host, int(port)))

def call(method, path, headers="", body=b""):
    head = f"{method} {path} HTTP/1.1\\r\\nHost: {host}\\r\\n{headers}Content-Length: {len(body)}\\r\\n\\r\\n"
    api.sendall(head.encode() + body)
    reply = b""
    while b"\\r\\n\\r\\n" not in reply:
        reply += api.recv(65536)
    head, _, body = reply.partition(b"\\r\\n\\r\\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\\r\\n")[0])
    while len(body) < length:
        body += api.recv(65536)
    return head.decode(), body
"""

RUNTIME = """
root = "/2018-06-01/runtime/invocation/"
lines = [@LINE@ for number in range(@RECORDS@)]
blocks = [("\\n".join(lines[at:at + 5000]) + "\\n").encode() for at in range(0, len(lines), 5000)]
while True:
    head, _ = call("GET", root + "next")
    request_id = head.lower().partition("runtime-aws-request-id: ")[2].split()[0]
    for block in blocks:
        while block:
            block = block[os.write(1, block):]
    call("POST", root + request_id + "/response", "", b"null")
"""

LINES = {
    "Text": 'f"{number:08} ".ljust(@CHARACTERS@, "x")',
    "JSON": """('{"level":"INFO","n":%08d,"message":"' % number).ljust(@CHARACTERS@ - 2, "x") + '"}'""",
}

EXTENSION = """
listener = socket.create_server(("127.0.0.1", 0))
name = "Lambda-Extension-Name: " + os.path.basename(sys.argv[0]) + "\\r\\n"
head, _ = call("POST", "/2020-01-01/extension/register", name, b'{"events":["INVOKE"]}')
me = "Lambda-Extension-Identifier: " + head.lower().partition("extension-identifier: ")[2].split()[0] + "\\r\\n"
call("PUT", "/2022-07-01/telemetry", me, (
    '{"schemaVersion":"2025-01-29","types":["function"],"buffering":{"maxItems":10000,"maxBytes":1048576,'
    '"timeoutMs":100},"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:%d"}}'
    % listener.getsockname()[1]).encode())

def serve():
    buffer = bytearray(4 * 1024 * 1024)
    view = memoryview(buffer)
    total = 0
    connection, _ = listener.accept()
    while total < @RECORDS@:
        n = connection.recv_into(view)
        end = buffer.find(b"\\r\\n\\r\\n", 0, n)
        while end < 0:
            n += connection.recv_into(view[n:])
            end = buffer.find(b"\\r\\n\\r\\n", 0, n)
        at = buffer[:end].lower().index(b"content-length: ")
        length = int(bytes(buffer[at + 16:end]).split(b"\\r\\n")[0])
        while n < end + 4 + length:
            n += connection.recv_into(view[n:])
        total += buffer.count(b'"type":"function"', 0, n)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    return total

while True:
    call("GET", "/2020-01-01/extension/event/next", me)
    serve()
"""


@dataclass(frozen=True)
class Run:
    """One invocation of so many records, delivered to every subscriber."""

    wall_s: float
    cpu_s: float
    peak_rss_mb: float


def main() -> None:
    arguments = parse_arguments()
    if arguments.child:
        print(*measure(arguments.child, arguments))
        return
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    print(
        f"Python {platform.python_version()}, {machine}, medians of {arguments.runs} runs of {arguments.records} lines"
    )
    print()
    print("| subscribers | lines/s | lines for each CPU-second | deliveries for each CPU-second | CPU | peak RSS |")
    print("|---|---|---|---|---|---|")
    for subscribers in map(int, arguments.subscribers.split(",")):
        print_row(
            subscribers,
            arguments.records,
            [in_a_process_of_its_own(arguments, subscribers) for _ in range(arguments.runs)],
        )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Throughput of the emulator's telemetry.")
    parser.add_argument("--records", type=int, default=200_000, help="lines in one invocation (default 200000)")
    parser.add_argument("--runs", type=int, default=3, help="runs for each number of subscribers (default 3)")
    parser.add_argument("--subscribers", default="1,5,10", help="how many extensions (default 1,5,10)")
    parser.add_argument(
        "--record", action="store_true", help="keep every event for `run --json`, as `tailrace run` does"
    )
    parser.add_argument("--json", action="store_true", help="JSON log format, and lines that are JSON objects")
    parser.add_argument("--child", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def in_a_process_of_its_own(arguments: argparse.Namespace, subscribers: int) -> Run:
    """Peak memory belongs to one run only."""
    command = [sys.executable, __file__, "--child", str(subscribers), "--records", str(arguments.records)]
    command += [f"--{name}" for name in ("record", "json") if getattr(arguments, name)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT_S).stdout.split()
    return Run(*map(float, found))


def measure(subscribers: int, arguments: argparse.Namespace) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory(prefix="tailrace-benchmark-") as folder:
        config = function(Path(folder), subscribers, arguments.records, "JSON" if arguments.json else "Text")
        return run_loop.run(asyncio.wait_for(run(config, record=arguments.record), LIMIT_S))


async def run(config: FunctionConfig, *, record: bool) -> tuple[float, float, float]:
    environment = ExecutionEnvironment(config, record_telemetry=record)
    async with environment:
        await environment.start()
        wall_s, cpu_s = time.monotonic(), time.process_time()
        result = await environment.invoke(new_invocation(b"{}", environment.now_ns()))
        wall_s, cpu_s = time.monotonic() - wall_s, time.process_time() - cpu_s
    if result.answer.function_error:
        sys.exit(f"the invocation failed, so the figures would mean nothing: {result.answer.payload.decode()}")
    return wall_s, cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def function(folder: Path, subscribers: int, records: int, log_format: str) -> FunctionConfig:
    """Its invocation ends when every extension has counted all records, which is when each calls Next."""
    runtime = script(folder / "bootstrap", RUNTIME.replace("@LINE@", LINES[log_format]), records)
    names = [f"counter-{number}" for number in range(subscribers)]
    extensions = tuple(ExtensionFile(name, script(folder / name, EXTENSION, records)) for name in names)
    return FunctionConfig(
        "benchmark",
        "app.run",
        folder,
        (str(runtime),),
        timeout_s=LIMIT_S,
        memory_mb=3008,
        log_format=log_format,
        extensions=extensions,
    )


def script(path: Path, text: str, records: int) -> Path:
    text = (API + text).replace("@PYTHON@", sys.executable).replace("@CHARACTERS@", str(LINE_CHARACTERS))
    path.write_text(text.replace("@RECORDS@", str(records)))
    path.chmod(0o755)
    return path


def print_row(subscribers: int, records: int, runs: list[Run]) -> None:
    wall_s = statistics.median(run.wall_s for run in runs)
    cpu_s = statistics.median(run.cpu_s for run in runs)
    peak_mb = max(run.peak_rss_mb for run in runs)
    per_cpu_s = records / cpu_s
    print(
        f"| {subscribers} | {records / wall_s:,.0f} | {per_cpu_s:,.0f} | {per_cpu_s * subscribers:,.0f} "
        f"| {cpu_s:.2f} s | {peak_mb:.0f} MB |"
    )


if __name__ == "__main__":
    main()
