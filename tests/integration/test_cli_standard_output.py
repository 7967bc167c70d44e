"""Commands whose standard output takes nothing more."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.commands import LIMIT_S, TAILRACE, write_function
from support.dead_letters import letter, write_letters

FULL = Path("/dev/full")
SENTENCE = "tailrace: standard output: no space left on device"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TAILRACE_", "S3_"))}
    return {**own, "XDG_STATE_HOME": str(tmp_path / "state")}


def into_full(*arguments: str | Path, env: dict[str, str]) -> tuple[int, list[str]]:
    with FULL.open("wb") as full:
        words = [TAILRACE, *arguments]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, env=env, timeout=LIMIT_S, check=False)
    return done.returncode, done.stderr.decode().splitlines()


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["config", "check"], ["doctor"]])
def test_a_full_disk_behind_standard_output_is_one_sentence(arguments: list[str], env: dict[str, str]) -> None:
    assert into_full(*arguments, env=env) == (74, [SENTENCE])


@pytest.mark.parametrize("option", ["--list", "--json", "--dry-run"])
def test_what_replay_says_has_no_room(tmp_path: Path, option: str, env: dict[str, str]) -> None:
    write_letters(tmp_path / "dead" / "a.ndjson", letter(1, 3))
    to = ["--to", f"file://{tmp_path / 'out'}"]
    assert into_full("replay", tmp_path / "dead", option, *to, env=env) == (74, [SENTENCE])


def test_a_run_whose_document_has_no_room_ends_in_order(tmp_path: Path, env: dict[str, str]) -> None:
    code = write_function(tmp_path / "shop", "def handler(event, context):\n    return 1\n")
    exit_code, said = into_full("run", "app.handler", "--code", code, "--json", env=env)
    assert (exit_code, said[-1]) == (74, SENTENCE)


@pytest.mark.parametrize("words", [["--list"], ["--to", "stdout:"]])
def test_a_pipe_that_nobody_reads_ends_a_replay_at_once(tmp_path: Path, words: list[str], env: dict[str, str]) -> None:
    write_letters(tmp_path / "dead" / "a.ndjson", letter(1, 3), letter(4, 6))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command: list[str | Path] = [TAILRACE, "replay", tmp_path / "dead", *words]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=env, timeout=LIMIT_S, check=False)
    finally:
        os.close(writing)
    assert done.returncode == 1
    said = done.stderr.decode()
    assert "attempt" not in said
    assert ("standard output: broken pipe" in said) == ("stdout:" in words)
