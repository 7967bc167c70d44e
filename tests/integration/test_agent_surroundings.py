"""The agent in surroundings that nobody would wish for: the function must not notice, and nothing is lost."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.agent_process import AgentProcess, lines_in
from support.fake_lambda_api import FakeLambdaApi
from support.telemetry import invocation


def two_invocations(api: FakeLambdaApi, agent: AgentProcess) -> None:
    api.wait_for_next()
    for number in (1, 2):
        api.invoke(f"request-{number}", timeout_s=60)
        api.post_telemetry(invocation(f"request-{number}", "a line"))
        api.wait_for_next(number + 1)
    api.shutdown()
    assert agent.exit_code() == 0


def wrapped(folder: Path, opt: Path, commands: str) -> Path:
    """A launcher that runs `commands` first."""
    path = folder / "tailrace"
    path.write_text(f'#!/bin/sh\n{commands}\nexec {shlex.quote(str(opt / "extensions" / "tailrace"))} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("says", ["", " ftp://nowhere"])
def test_closed_standard_streams_are_no_place_for_a_socket(
    opt: Path, api: FakeLambdaApi, out: Path, tmp_path: Path, closed: str, says: str
) -> None:
    launcher = wrapped(tmp_path, opt, f"exec {closed}")
    with AgentProcess(opt, api.address, {"TAILRACE_DESTINATIONS": f"file://{out}{says}"}, launcher) as agent:
        two_invocations(api, agent)
    assert len(lines_in(out)) == 6
    assert api.lines().count("GET /2020-01-01/extension/event/next") == 3
    assert api.connections == 1


@pytest.mark.parametrize("limit", ["ulimit -n 64", "ulimit -n 16", "ulimit -v 131072", "umask 777"])
def test_tight_limits_are_enough(opt: Path, api: FakeLambdaApi, out: Path, tmp_path: Path, limit: str) -> None:
    if "umask" in limit and os.geteuid() != 0:
        pytest.skip("only root may write into a folder of such a mode")
    launcher = wrapped(tmp_path, opt, limit)
    with AgentProcess(opt, api.address, {"TAILRACE_DESTINATIONS": f"file://{out}"}, launcher) as agent:
        two_invocations(api, agent)
    assert len(lines_in(out)) == 6


HOSTILE_PYTHON: Mapping[str, str] = {
    "PYTHONHOME": "/nonexistent",
    "PYTHONSTARTUP": "/nonexistent",
    "PYTHONINSPECT": "1",
    "PYTHONVERBOSE": "1",
    "PYTHONDEVMODE": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONIOENCODING": "nonsense",
    "PYTHONUTF8": "junk",
    "PYTHONHASHSEED": "junk",
    "PYTHONMALLOC": "debug",
    "PYTHONOPTIMIZE": "junk",
}


def test_the_customers_modules_and_python_settings_are_not_ours(
    opt: Path, api: FakeLambdaApi, out: Path, tmp_path: Path
) -> None:
    task = tmp_path / "task"
    task.mkdir()
    for name in ("tailrace", "_socket", "posix", "_json", "sitecustomize", "usercustomize", "zlib", "encodings"):
        (task / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    launcher = wrapped(tmp_path, opt, f"cd {shlex.quote(str(task))}")
    settings = {"TAILRACE_DESTINATIONS": f"file://{out}", "PYTHONPATH": str(task), **HOSTILE_PYTHON}
    with AgentProcess(opt, api.address, settings, launcher) as agent:
        two_invocations(api, agent)
        assert agent.messages() == []
    assert len(lines_in(out)) == 6


@pytest.mark.parametrize("host", ["\udcff\udcfe", "x" * 100_000, "-1", "a b", "::1", "\u0663"])
def test_no_listen_host_keeps_the_agent_from_starting(opt: Path, api: FakeLambdaApi, out: Path, host: str) -> None:
    settings = {"TAILRACE_DESTINATIONS": f"file://{out}", "TAILRACE_LISTEN_HOST": host}
    with AgentProcess(opt, api.address, settings) as agent:
        two_invocations(api, agent)
        (message,) = agent.messages()
        assert "the default 0.0.0.0 is used" in message
        assert len(message) < 400
    assert len(lines_in(out)) == 6


@pytest.mark.parametrize("region", ["\udcff", "a b", "x" * 64, "\u0663", "https://evil"])
def test_a_region_that_is_none_is_named_and_nothing_is_sent(opt: Path, api: FakeLambdaApi, region: str) -> None:
    settings = {"TAILRACE_DESTINATIONS": "s3://bucket", "AWS_REGION": region}
    with AgentProcess(opt, api.address, settings) as agent:
        two_invocations(api, agent)
        (message,) = agent.messages()
        assert message.startswith("AWS_REGION: it holds no name of a region")
        (row,) = agent.ledger().values()
        assert row["dropped"] == {"bad_configuration": 6}


def test_output_that_nobody_reads_blocks_nothing(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    while True:
        try:
            os.write(writer, b"x" * 65536)
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    environment = {
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "TAILRACE_LISTEN_HOST": "127.0.0.1",
        "TAILRACE_SPOOL_DIR": str(opt.parent / "spool"),
        "TAILRACE_DESTINATIONS": f"ftp://nowhere file://{out} stdout:",
        "TAILRACE_END_WAIT_MS": "100",
        "PATH": os.environ["PATH"],
    }
    with subprocess.Popen([opt / "extensions" / "tailrace"], env=environment, stdout=writer) as process:
        try:
            for number in (1, 2):
                api.invoke(f"request-{number}", timeout_s=60)
                api.post_telemetry(invocation(f"request-{number}", "a line"))
                api.wait_for_next(number + 1)
            api.shutdown()
            assert process.wait(30) == 0
        finally:
            process.kill()
            os.close(reader)
            os.close(writer)
    assert len(lines_in(out)) == 6


def test_a_full_disk_is_named_and_nothing_of_a_file_is_left(
    opt: Path, api: FakeLambdaApi, out: Path, tmp_path: Path
) -> None:
    launcher = wrapped(tmp_path, opt, "ulimit -f 0")
    settings = {"TAILRACE_DESTINATIONS": f"file://{out}", "TAILRACE_END_WAIT_MS": "50"}
    with AgentProcess(opt, api.address, settings, launcher) as agent:
        two_invocations(api, agent)
        counters, *others = agent.said()
        assert counters["message"].startswith("the counter file cannot be written")
        assert any(str(line.get("reason", "")).startswith("file too large: ") for line in others)
        (row,) = agent.ledger().values()
        assert row["dropped"] == {"shutdown": 6}
    assert [path for path in out.rglob("*") if path.is_file()] == []
