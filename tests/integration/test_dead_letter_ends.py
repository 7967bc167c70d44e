"""The ends of environments and of processes: what was given up and not written yet is written, or counted by name."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.agent_killer import KILL_AGENT
from support.commands import account, run_json, variables, write_function
from support.emulator_async import run
from support.emulator_runs import Story, environment
from support.gated_sink import GatedSink
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.invocations import new_invocation
from tailrace.packaging.cache import plain_layer

# Lines of about a kilobyte; then perhaps SIGKILL for the agent, when a file of that name is there.
FUNCTION = (
    KILL_AGENT
    + """
import time
def handler(event, context):
    for n in range(event["lines"]):
        print(f"{event['call']}:{n} " + "x" * 1000)
    if event.get("killWhen"):
        while not pathlib.Path(event["killWhen"]).exists():
            time.sleep(0.01)
        kill_agent()
"""
)
LIMIT_S = 30.0
SMALL = {"TAILRACE_QUEUE_MAX_BYTES": "65536", "TAILRACE_END_WAIT_MS": "100"}


def letters_in(folder: Path) -> list[str]:
    """The function's lines among the dead letters, without their padding."""
    files = sorted(folder.rglob("*-dead-letter-*.ndjson"))
    envelopes = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    lines = [json.loads(record) for envelope in envelopes for record in envelope["records"]]
    return [line["record"].split()[0] for line in lines if line["type"] == "function"]


def test_a_spool_many_times_as_large_as_memory_is_among_the_dead_letters_when_the_environment_ends(
    tmp_path: Path,
) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    with GatedSink() as sink:
        url = sink.url  # nobody listens there any more
    settings = {**SMALL, "TAILRACE_DESTINATIONS": url, "TAILRACE_DEAD_LETTER": f"file://{tmp_path}/dead"}
    words = ("--extension", "tailrace", "--timeout", "30", "--event", '{"call": 1, "lines": 3000}')
    document = run_json("app.handler", "--code", code, *words, *variables(settings))

    row = document["ledger"][url]
    assert row["received"] == row["deadLettered"] == account(row) >= 3000
    assert Counter(letters_in(tmp_path / "dead")) == Counter(f"1:{n}" for n in range(3000))


async def invoke(env: ExecutionEnvironment, **event: object) -> None:
    await env.invoke(new_invocation(json.dumps(event).encode(), env.now_ns()))


def told(
    tmp_path: Path, settings: Mapping[str, str], tale: Callable[[ExecutionEnvironment], Awaitable[None]]
) -> tuple[dict[str, Any], Story]:
    """The row of the last ledger, and all that was seen."""

    async def scenario() -> tuple[Mapping[str, object] | None, Story]:
        agent = plain_layer() / "extensions" / "tailrace"
        surroundings = environment(
            tmp_path, FUNCTION, extensions=[agent], variables={**SMALL, **settings}, timeout_s=LIMIT_S
        )
        async with surroundings as (env, story):
            await tale(env)
            await env.shutdown()
            return env.ledger, story

    ledger, story = run(scenario())
    assert ledger is not None, story.lines
    row = ledger[settings["TAILRACE_DESTINATIONS"]]
    assert isinstance(row, dict)
    return row, story


@pytest.mark.parametrize(("lines", "refusals"), [(20, 2), (400, 8)], ids=["from memory", "from memory and disk"])
def test_what_was_given_up_and_is_no_dead_letter_yet_when_the_agent_is_killed_is_counted_or_delivered_by_the_next(
    tmp_path: Path, lines: int, refusals: int
) -> None:
    """The dead letter destination accepts connections and answers nothing, so letters wait in memory."""
    killed = tmp_path / "spool" / "now"
    killed.parent.mkdir()
    answers = [503 if lines > 100 else 404]
    refused: list[bytes] = []

    def answer(body: bytes) -> int:
        if answers[0] == 503 and lines_on_disk(killed.parent) > lines // 2:
            answers[0] = 404  # memory is full, and most of it is on disk
        if answers[0] == 404:
            refused.append(body)
            if len(refused) == refusals:
                killed.touch()
        return answers[0]

    with GatedSink(answer) as sink, socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {
            "TAILRACE_DESTINATIONS": sink.url,
            "TAILRACE_DEAD_LETTER": "s3://logs/dead",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
            "AWS_REGION": "eu-west-1",
            "TAILRACE_SPOOL_DIR": str(killed.parent),
        }

        async def tale(env: ExecutionEnvironment) -> None:
            await invoke(env, call=1, lines=lines, killWhen=str(killed))
            answers[0] = 200
            sink.bodies.clear()
            await invoke(env, call=2, lines=1)

        row, story = told(tmp_path, settings, tale)
        delivered = [json.loads(line) for body in sink.bodies for line in body.splitlines()]

    arrived = [line["record"].split()[0] for line in delivered if line["type"] == "function"]
    lost = {f"1:{n}" for n in range(lines)}.difference(arrived)
    assert row["received"] == account(row), (row, story.lines)
    assert row["held"] == 0
    assert len(arrived) == len(set(arrived))
    assert "2:0" in arrived
    assert row["delivered"] == len(delivered)
    assert lost
    assert len(lost) <= sum(row["dropped"].values()) <= len(lost) + 10  # and a few of the platform's own events
    assert row["dropped"]["process_killed"] > 0
    assert set(row["dropped"]) <= {"process_killed", "rejected, dead_letter_full"}


def lines_on_disk(folder: Path) -> int:
    count = 0
    for path in folder.rglob("*.seg"):
        try:
            count += path.read_bytes().count(b"x" * 1000)
        except OSError:  # done with meanwhile
            continue
    return count


def test_what_is_a_dead_letter_when_the_agent_is_killed_is_not_counted_as_lost(tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    dead.mkdir()
    killed = dead / "now"  # where the function sees it
    with GatedSink(lambda body: 404) as sink:
        settings = {"TAILRACE_DESTINATIONS": sink.url, "TAILRACE_DEAD_LETTER": f"file://{dead}"}

        async def tale(env: ExecutionEnvironment) -> None:
            await invoke(env, call=1, lines=20)
            killing = asyncio.create_task(invoke(env, call=2, lines=0, killWhen=str(killed)))
            while len(letters_in(dead)) < 20:
                await asyncio.sleep(0.01)
            killed.touch()
            await killing
            await invoke(env, call=3, lines=1)

        row, story = told(tmp_path, settings, tale)

    found = letters_in(dead)
    assert Counter(found) == Counter([*(f"1:{n}" for n in range(20)), "3:0"])
    assert row["received"] == account(row), (row, story.lines)
    assert row["deadLettered"] >= 21
    assert set(row["dropped"]) <= {"process_killed"}
    assert row["dropped"].get("process_killed", 0) <= 4  # platform events of the invocation that killed it
