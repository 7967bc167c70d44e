"""How fast the agent starts and how much memory it takes, beside a bare interpreter in the same run.

    python benchmarks/agent_start.py [--runs 30] [--python PATH]

Every run starts the launcher of a freshly built layer against a local stand-in for Lambda's API, and a bare
interpreter beside it. Medians are printed; compare inside a run, not between machines.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stand_in import Delivery, StandIn
from tailrace.packaging import interpreters
from tailrace.packaging.layer import build_layer

LIMIT_S = 30.0
MS = 1000.0


@dataclass(frozen=True)
class Start:
    """One start of the agent: milliseconds from before the launcher is started, memory in KiB."""

    register_ms: float
    next_ms: float
    ready_ms: float
    ready: dict[str, int]
    delivered: dict[str, int]


def main() -> None:
    arguments = parse_arguments()
    interpreter = interpreters.ask(arguments.python)
    if interpreter is None:
        sys.exit(f"{arguments.python} is no working Python")
    with tempfile.TemporaryDirectory(prefix="tailrace-benchmark-") as folder:
        opt = unpack_layer(Path(folder), interpreter)
        bare_ms: list[float] = []
        starts: list[Start] = []
        measure(opt, Path(folder))  # warms the file cache
        for _ in range(arguments.runs):
            bare_ms.append(bare_start_ms(interpreter.path))
            starts.append(measure(opt, Path(folder)))
        bare_memory = bare_memory_kib(interpreter.path)
    print_table(interpreter.runtime, bare_ms, bare_memory, starts)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Start-up time and memory of the agent.")
    parser.add_argument("--runs", type=int, default=30, help="starts to measure (default 30)")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="the interpreter to run the layer with"
    )
    return parser.parse_args()


def unpack_layer(folder: Path, interpreter: interpreters.Interpreter) -> Path:
    """The layer, built and unpacked. Returns what stands for /opt."""
    build_layer(folder / "layer.zip", [interpreter])
    with zipfile.ZipFile(folder / "layer.zip") as archive:
        archive.extractall(folder / "opt")
    (folder / "opt" / "extensions" / "tailrace").chmod(0o755)
    # The launcher looks for `python3` on PATH.
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(interpreter.path.resolve())
    return folder / "opt"


def bare_start_ms(python: Path) -> float:
    """From before the start of an interpreter that does nothing to its end."""
    started_s = time.monotonic()
    subprocess.run([python.resolve(), "-I", "-S", "-E", "-c", "pass"], check=True)
    return (time.monotonic() - started_s) * MS


def bare_memory_kib(python: Path) -> dict[str, int]:
    """Memory of an interpreter that does nothing but wait."""
    command = [str(python.resolve()), "-I", "-S", "-E", "-c", "import posix; posix.write(1, b'.'); posix.read(0, 1)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.read(1)
        memory = memory_kib(process.pid)
        process.stdin.close()
    return memory


def measure(opt: Path, folder: Path) -> Start:
    """One life of the agent: start, one invocation delivered to a folder, shutdown."""
    with StandIn() as api, tempfile.TemporaryDirectory(dir=folder) as out:
        environment = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "TAILRACE_LISTEN_HOST": "127.0.0.1",
            "TAILRACE_SPOOL_DIR": f"{out}/../spool",
            "TAILRACE_DESTINATIONS": f"file://{out}",
            "AWS_REGION": "eu-west-1",
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        }
        started_s = time.monotonic()
        with subprocess.Popen([opt / "extensions" / "tailrace"], env=environment, stdout=subprocess.DEVNULL) as process:
            api.wait_for_next(1, LIMIT_S)
            post(api.deliver_to, [])
            ready_s = time.monotonic()
            ready = memory_kib(process.pid)
            api.invoke()
            post(api.deliver_to, Delivery.of_one_invocation())
            api.wait_for_next(2, LIMIT_S)
            delivered = memory_kib(process.pid)
            api.shut_down()
            process.wait(LIMIT_S)
        if not list(Path(out).rglob("*.ndjson")):
            sys.exit("nothing was delivered: the figures would mean nothing")
    return Start(
        register_ms=(api.registered_s - started_s) * MS,
        next_ms=(api.next_s - started_s) * MS,
        ready_ms=(ready_s - started_s) * MS,
        ready=ready,
        delivered=delivered,
    )


def post(url: str, events: object) -> None:
    """Deliver telemetry. The answer to the first post says that the pipeline stands."""
    request = urllib.request.Request(url, json.dumps(events).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=LIMIT_S):
        pass


def memory_kib(pid: int) -> dict[str, int]:
    """`Rss` and `Pss` (shared pages divided among those who share them) of a process."""
    figures = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Rss", "Pss"):
            figures[name] = int(rest.split()[0])
    return figures


def print_table(runtime: str, bare_ms: list[float], bare_memory: dict[str, int], starts: list[Start]) -> None:
    bare = statistics.median(bare_ms)
    register = statistics.median(start.register_ms for start in starts)
    first_next = statistics.median(start.next_ms for start in starts)
    ready = statistics.median(start.ready_ms for start in starts)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    print(f"{runtime}, {machine}, medians of {len(starts)} starts")
    print()
    print("| | measured | beside it | goal |")
    print("|---|---|---|---|")
    print(f"| bare interpreter, start to exit | {bare:.1f} ms | | |")
    print(f"| launcher to Register | {register:.1f} ms | {register / bare:.2f} x bare | at most 1.25 x |")
    print(f"| Register to Next | {first_next - register:.1f} ms | | at most 1 ms |")
    print(f"| launcher to pipeline ready | {ready:.1f} ms | | |")
    print(memory_row("bare interpreter, waiting", [bare_memory], ""))
    print(memory_row("ready", (start.ready for start in starts), "RSS 10 MB"))
    print(memory_row("after the first delivery", (start.delivered for start in starts), ""))


def memory_row(name: str, figures: Iterable[dict[str, int]], goal: str) -> str:
    figures = list(figures)
    rss, pss = (statistics.median(each[kind] for each in figures) / 1024 for kind in ("Rss", "Pss"))
    return f"| memory, {name} | RSS {rss:.1f} MB | PSS {pss:.1f} MB | {goal} |"


if __name__ == "__main__":
    main()
