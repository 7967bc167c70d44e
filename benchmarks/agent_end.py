"""How long the agent holds an invocation once the platform has told it that the invocation is done.

    python benchmarks/agent_end.py [--invocations 40] [--policy adaptive] [--latency 50]

This is the agent's own share of a held invocation: telemetry is posted at once, without the platform's buffer of 25 ms,
to the launcher of a freshly built layer, over one lasting connection, as the platform does. Measured is the time from
before the post of an invocation's lines, its end among them, to the arrival of the next call to Next, from the third
invocation on; and that the lines were at the back end by then or came without another word.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agent_flush import LATENCIES, MS, WARM_UP, back_end, spread
from agent_start import LIMIT_S, post, unpack_layer
from stand_in import Delivery, StandIn
from tailrace.packaging import interpreters
from telemetry_post import TelemetryConnection

POLICIES = ("end", "adaptive")
WORK_S = 0.02  # that the function works: the agent has dealt with INVOKE when the last lines come
PAUSE_S = 0.6  # between invocations: the reply to the last one has come, as after a freeze


def main() -> None:
    arguments = parse_arguments()
    interpreter = interpreters.ask(Path(sys.executable))
    if interpreter is None:
        sys.exit("this Python does not run")
    print(f"{interpreter.runtime}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs; ", end="")
    print(f"{arguments.invocations} invocations, from the third on")
    print()
    print("| back end | policy | runtimeDone to Next, median / 95 % | lines at the back end |")
    print("|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="tailrace-benchmark-") as folder:
        opt = unpack_layer(Path(folder), interpreter)
        for latency in arguments.latency or LATENCIES:
            for policy in arguments.policy or POLICIES:
                held_ms, arrived = measure(opt, Path(folder), arguments.invocations, policy, latency)
                answers_in = latency if latency == "dead" else f"{latency} ms"
                print(f"| {answers_in} | {policy} | {spread(held_ms)} ms | {arrived} |", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The agent's own share of a held invocation.")
    parser.add_argument("--invocations", type=int, default=15, help="in a run (default 15)")
    parser.add_argument("--policy", action="append", help=f"repeatable (default {' '.join(POLICIES)})")
    parser.add_argument("--latency", action="append", help=f"ms or dead, repeatable (default {' '.join(LATENCIES)})")
    return parser.parse_args()


def measure(opt: Path, folder: Path, invocations: int, policy: str, latency: str) -> tuple[list[float], str]:
    """Milliseconds for each counted invocation, and how many last lines came of how many."""
    held_ms = []
    with StandIn() as api, back_end(latency) as sink:
        environment = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "TAILRACE_LISTEN_HOST": "127.0.0.1",
            "TAILRACE_DESTINATIONS": f"http://127.0.0.1:{sink.port}/",
            "TAILRACE_FLUSH": policy,
            "TAILRACE_STEADY_MS": "0",
            "TAILRACE_SPOOL_DIR": f"{folder}/spool-{latency}-{policy}",
            "AWS_REGION": "eu-west-1",
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        }
        with subprocess.Popen([opt / "extensions" / "tailrace"], env=environment, stdout=subprocess.DEVNULL) as process:
            api.wait_for_next(1, LIMIT_S)
            post(api.deliver_to, [])
            with TelemetryConnection(api.deliver_to, LIMIT_S) as connection:
                for number in range(invocations):
                    held_ms.append(hold(api, connection, number))
                    time.sleep(PAUSE_S)
            arrived = sink.arrived()
            api.shut_down()
            process.wait(LIMIT_S)
    return held_ms[WARM_UP:], f"{len(arrived)} of {invocations}"


def hold(api: StandIn, connection: TelemetryConnection, number: int) -> float:
    """From before the post of everything that an invocation has to tell to the agent's next call."""
    request_id = f"request-{number}"
    events = Delivery.of_one_invocation(request_id)
    api.invoke(request_id)
    time.sleep(WORK_S)
    events[-2]["record"] = f"last {number} {time.monotonic()}"
    request = connection.request(json.dumps(events).encode())
    begun_s = time.monotonic()
    connection.send(request)
    api.wait_for_next(number + 2, LIMIT_S)
    return max(0.0, api.latest_next_s - begun_s) * MS  # zero: Next was called before, without waiting for the end


if __name__ == "__main__":
    main()
