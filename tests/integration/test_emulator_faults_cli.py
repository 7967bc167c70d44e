"""Fault plans and transcripts on the command line."""

from __future__ import annotations

import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from support.commands import TAILRACE, tailrace
from support.emulator_runs import function_folder
from tailrace.emulator.transcript import read_transcript, replay


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return function_folder(tmp_path, "def handler(event, context):\n    return event\n")


PLAN = """
seed = 7

[[fault]]
what = "kill"
process = "runtime"
when = "response:2"

[[fault]]
what = "telemetry-reset"
"""


def test_run_carries_out_a_plan_and_says_what_happened_and_what_did_not(tmp_path: Path, code: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    options = ["--faults", "plan.toml", "--transcript", "run.ndjson", "--isolation", "process", "--invocations", "3"]
    result = tailrace("run", "app.handler", "--code", code, *options, cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert "fault: kill runtime at response:2 (invocation 2)" in result.stdout
    assert "tailrace: fault that never happened: telemetry-reset at telemetry\n" in result.stderr
    assert replay(read_transcript(tmp_path / "run.ndjson")) is None


@pytest.mark.parametrize(
    ("option", "text", "sentence"),
    [
        (
            "--faults",
            '[[fault]]\nwhat = "kill"\nprocess = "counter"\nwhen = "invoke:2"\n',
            '--faults plan.toml, fault 1, process: there is no "counter"\n          one of runtime\n',
        ),
        ("--faults", "seed = ", "--faults plan.toml: is not TOML"),
        ("--transcript", "", "--transcript: cannot write none/plan.toml: no such file or directory"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_starts(
    tmp_path: Path, code: Path, option: str, text: str, sentence: str
) -> None:
    (tmp_path / "plan.toml").write_text(text)
    path = "plan.toml" if option == "--faults" else "none/plan.toml"
    result = tailrace("run", "app.handler", "--code", code, option, path, cwd=tmp_path)

    assert result.returncode == 2
    assert sentence in result.stderr
    assert result.stdout == ""


def test_serve_carries_out_a_plan_too_and_ends_with_a_whole_transcript(tmp_path: Path, code: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    command = [str(TAILRACE), "serve", "app.handler", "--code", str(code), "--port", "0", "--isolation", "process"]
    command += ["--faults", "plan.toml", "--transcript", "run.ndjson"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True) as process:
        assert process.stdout is not None
        url = next(line.split()[-1] for line in process.stdout if line.startswith("listening on "))
        for _ in range(3):
            call = urllib.request.Request(f"{url}/2015-03-31/functions/app/invocations", b"{}")
            with urllib.request.urlopen(call, timeout=20) as answer:
                assert answer.status == 200
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "fault: kill runtime at response:2 (invocation 2)" in output
    assert "fault that never happened: telemetry-reset" in errors
    assert replay(read_transcript(tmp_path / "run.ndjson")) is None
