"""Ctrl-C and SIGTERM end a run at once, with a word about it, and leave no process behind."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from support.commands import TAILRACE, write_function
from support.namespaces import ISOLATIONS, outside

FUNCTION = """
import os, time
def handler(event, context):
    print("working as", os.getpid(), flush=True)
    time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists()


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize(
    ("number", "exit_code", "words"),
    [
        (signal.SIGINT, 130, "interrupted; everything that was started has been stopped"),
        (signal.SIGTERM, 143, "ended by SIGTERM; everything that was started has been stopped"),
    ],
)
def test_a_signal_ends_a_run_and_all_that_it_started(
    tmp_path: Path, number: signal.Signals, exit_code: int, words: str, isolation: str
) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    command = [
        str(TAILRACE),
        "run",
        "app.handler",
        "--code",
        str(code),
        "--timeout",
        "900",
        "--invocations",
        "3",
        "--extension",
        "tailrace",
        "--isolation",
        isolation,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told_pid = next(int(line.split()[-1]) for line in process.stdout if line.startswith("working as"))
    (pid,) = outside([told_pid], process.pid)

    process.send_signal(number)
    _, told = process.communicate(timeout=30)

    assert process.returncode == exit_code
    assert words in told
    assert "0 of 3 invocations were done" in told
    assert "Traceback" not in told
    assert not is_alive(pid)
