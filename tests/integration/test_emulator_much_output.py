"""A function that prints without end does no harm: to memory least of all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.commands import LIMIT_S, TAILRACE, write_function

MB = 1_000_000
MAX_MEMORY_MB = 150

PRINT = """
import os, sys

def handler(event, context):
    piece = {
        "lines": (b"x" * 9_999 + b"\\n") * 100,
        "line": b"y" * 1_000_000,
        "binary": bytes(range(256)).replace(b"\\n", b"") * 3906 + b"\\n",
    }[event]
    for _ in range(100):
        os.write(1, piece)
    print("the end", flush=True)
"""

MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
"""A small process between: what a process is started from counts as its own memory."""


@pytest.mark.parametrize(
    ("what", "agent"),
    [
        ("lines", True),
        *[
            pytest.param(what, agent, marks=pytest.mark.slow)
            for what, agent in [("lines", False), ("line", False), ("line", True), ("binary", False), ("binary", True)]
        ],
    ],
)
def test_a_hundred_megabytes_take_little_memory_and_the_end_is_there(tmp_path: Path, what: str, agent: bool) -> None:
    code = write_function(tmp_path / "code", PRINT)
    arguments = ["run", "app.handler", "--code", code, "--json", "--event", json.dumps(what), "--timeout", "90"]
    if agent:
        arguments += ["--extension", "tailrace", "--env", f"TAILRACE_DESTINATIONS=file://{tmp_path}/out"]
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", MEASURED, TAILRACE, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stderr.splitlines()[-1]) < MAX_MEMORY_MB * 1024
    document = json.loads(result.stdout)
    (invocation,) = document["invocations"]
    assert any(text.endswith("the end") for text in invocation["logs"][-20:])  # the agent may say a word after it
    assert sum(map(len, invocation["logs"])) <= 8 * 1_048_576
    assert invocation["logsLeftOut"] > 0
    assert document["telemetryLeftOut"] > 0
    if what == "lines":
        written = 100 * 100 + 4  # START, the end, END and REPORT
        told = len(invocation["logs"]) + invocation["logsLeftOut"]
        assert told == written if not agent else told >= written
