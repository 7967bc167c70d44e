"""Back ends that die, come back, or are not who they say they are: nothing is lost silently, the ledger tells."""

from __future__ import annotations

import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from support.agent_killer import KILL_AGENT
from support.commands import account, run_json, tailrace, variables, write_function
from support.emulator_async import run
from support.emulator_runs import environment
from support.http_sink import HttpSink
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.invocations import new_invocation
from tailrace.packaging.cache import plain_layer

FUNCTION = """
calls = 0
def handler(event, context):
    global calls
    calls += 1
    print(f"line of call {calls}")
    return calls
"""


def agent() -> Path:
    return plain_layer() / "extensions" / "tailrace"


def row_of(ledger: Mapping[str, object] | None) -> Mapping[str, Any]:
    """The one row of a ledger."""
    assert ledger is not None
    (row,) = (row for row in ledger.values() if isinstance(row, dict))
    return row


async def invoke(env: ExecutionEnvironment, times: int = 1) -> None:
    for _ in range(times):
        await env.invoke(new_invocation(b"{}", env.now_ns()))


def row_after(
    tmp_path: Path, sink: HttpSink, story: Callable[[ExecutionEnvironment], Awaitable[None]]
) -> Mapping[str, Any]:
    """The ledger's row of an agent that delivered to `sink` while `story` happened."""
    settings = {"TAILRACE_DESTINATIONS": f"http://127.0.0.1:{sink.port}/in", "TAILRACE_END_WAIT_MS": "100"}

    async def scenario() -> Mapping[str, object] | None:
        async with environment(tmp_path, FUNCTION, extensions=[agent()], variables=settings) as (env, _):
            await story(env)
            await env.shutdown()
            return env.ledger

    return row_of(run(scenario()))


def test_a_back_end_that_dies_and_comes_back_gets_everything_once(tmp_path: Path) -> None:
    with HttpSink() as sink:

        async def dies_and_comes_back(env: ExecutionEnvironment) -> None:
            await invoke(env, 2)
            sink.kill()
            await invoke(env, 3)
            sink.revive()
            await invoke(env)

        row = row_after(tmp_path, sink, dies_and_comes_back)
        lines = sink.lines()

    assert row["received"] == row["delivered"] == account(row) == len(lines)
    written = [line["record"] for line in lines if line["type"] == "function"]
    assert written == [f"line of call {n}" for n in range(1, 7)]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))


def test_a_back_end_that_stays_dead_is_accounted_for_to_the_last_record(tmp_path: Path) -> None:
    with HttpSink() as sink:

        async def dies(env: ExecutionEnvironment) -> None:
            await invoke(env, 2)
            sink.kill()
            await invoke(env, 2)

        row = row_after(tmp_path, sink, dies)
        sink.revive()

    assert row["delivered"] == len(sink.lines()) > 0
    assert row["dropped"] == {"shutdown": row["received"] - row["delivered"]}
    assert row["received"] == account(row)


def test_one_dead_back_end_never_takes_another_with_it(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    destinations = f"http://127.0.0.1:9/gone file://{tmp_path}/out"
    settings = variables({"TAILRACE_DESTINATIONS": destinations, "TAILRACE_END_WAIT_MS": "100"})

    document = run_json("app.handler", "--code", code, "--extension", "tailrace", "--invocations", "3", *settings)

    alive = document["ledger"][f"file://{tmp_path}/out"]
    dead = document["ledger"]["http://127.0.0.1:9/gone"]
    assert alive["received"] == alive["delivered"] == dead["received"] == sum(dead["dropped"].values())


def test_a_killed_agent_leaves_no_ledger_and_only_whole_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = {"TAILRACE_DESTINATIONS": f"file://{out}"}

    async def scenario() -> Mapping[str, object] | None:
        async with environment(tmp_path, FUNCTION + KILLER, extensions=[agent()], variables=settings) as (env, _):
            await invoke(env, 2)
            await env.invoke(new_invocation(b'{"kill": true}', env.now_ns()))
            return env.ledger

    assert run(scenario()) is None
    for file in out.rglob("*.ndjson"):
        assert all(json.loads(line) for line in file.read_text().splitlines())


# Kills the agent with SIGKILL, in the middle of an invocation.
KILLER = (
    KILL_AGENT
    + """
quiet = handler
def handler(event, context):
    if event.get("kill"):
        kill_agent()
    return quiet(event, context)
"""
)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_sink_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


def test_tls_with_an_authority_of_its_own(
    tmp_path: Path, authority: trustme.CA, tls_sink_context: ssl.SSLContext
) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with HttpSink(tls_sink_context) as sink:
        given = {
            "TAILRACE_DESTINATIONS": f"https://localhost:{sink.port}/in?tailrace-compress=gzip&team=a",
            "TAILRACE_HTTP_HEADERS": "Authorization: Bearer s3cr3t",
            "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
        }

        document = run_json("app.handler", "--code", code, "--extension", "tailrace", *variables(given))

        row = row_of(document["ledger"])
        lines = sink.lines()
        path, headers, _ = sink.requests[0]
    assert row["delivered"] == row["received"] == len(lines)
    assert path == "/in?team=a"
    assert headers["authorization"] == "Bearer s3cr3t"
    assert "s3cr3t" not in json.dumps(document)


def test_tls_certificate_of_a_stranger_is_refused(tmp_path: Path, tls_sink_context: ssl.SSLContext) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    with HttpSink(tls_sink_context) as sink:
        given = {
            "TAILRACE_DESTINATIONS": f"https://localhost:{sink.port}/in",
            "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
            "TAILRACE_END_WAIT_MS": "300",
        }

        document = run_json("app.handler", "--code", code, "--extension", "tailrace", *variables(given))

    row = row_of(document["ledger"])
    assert sink.requests == []
    assert row["delivered"] == 0
    assert row["received"] == account(row) == row["dropped"]["shutdown"]


def test_while_frozen_nothing_moves(tmp_path: Path) -> None:
    """A function that leaves a thread behind, which writes without end, writes nothing while it is frozen."""
    busy = """
import pathlib, threading, time, os
beat = pathlib.Path(os.environ["BEAT"])
def tick():
    n = 0
    while True:
        n += 1
        beat.with_suffix(".new").write_text(str(n))
        os.replace(beat.with_suffix(".new"), beat)
        time.sleep(0.001)
threading.Thread(target=tick, daemon=True).start()
def handler(event, context):
    while not beat.exists() or beat.read_text() == event.get("seen"):
        time.sleep(0.001)
    return beat.read_text()
"""
    beat = tmp_path / "beat"

    async def scenario() -> tuple[str, str, str]:
        async with environment(tmp_path, busy, variables={"BEAT": str(beat)}, timeout_s=15) as (env, _):
            await invoke(env)
            before = beat.read_text()
            after = await read_after_writers_had_their_chance(beat)
            seen = json.dumps({"seen": before}).encode()
            thawed = await env.invoke(new_invocation(seen, env.now_ns()))
            return before, after, json.loads(thawed.answer.payload)

    before, after, thawed = run(scenario())
    assert before == after
    assert int(thawed) > int(before)


async def read_after_writers_had_their_chance(path: Path) -> str:
    """What stands in `path` after many turns of the loop, each of which lets other processes run."""
    import asyncio

    for _ in range(50):
        await asyncio.sleep(0.002)
    return path.read_text()


def test_an_environment_that_is_ended_right_after_an_answer_lets_the_extensions_finish(tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = {"TAILRACE_DESTINATIONS": f"file://{out}"}

    async def scenario() -> list[str]:
        async with environment(tmp_path, FUNCTION, extensions=[agent()], variables=settings) as (env, _):
            pending = env.submit(new_invocation(b"{}", env.now_ns()))
            await pending.answered
            await env.shutdown()
            return [line.text for line in (await pending.closed).logs]

    report = run(scenario())[-1]
    records = [json.loads(line) for file in out.rglob("*.ndjson") for line in file.read_text().splitlines()]
    assert report.startswith("REPORT RequestId: ")
    assert "Status:" not in report
    assert "platform.report" in [record["type"] for record in records]


def test_a_place_that_takes_no_files_is_named_as_what_it_is_and_another_one_gets_everything(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    (tmp_path / "taken").write_text("a file where the folder should be")
    destinations = f"file://{tmp_path}/taken file://{tmp_path}/out"

    result = tailrace(
        "run",
        "app.handler",
        "--code",
        code,
        "--extension",
        "tailrace",
        *variables({"TAILRACE_DESTINATIONS": destinations}),
    )

    assert result.returncode == 0
    (warning,) = (json.loads(line) for line in result.stdout.splitlines() if '"level":"warn"' in line)
    assert warning["destination"] == f"file://{tmp_path}/taken"
    assert warning["reason"].startswith("not a directory: ")
    assert "address" not in warning["message"]
