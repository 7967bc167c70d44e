"""What lies on disk between two processes of one environment: nothing is lost without a reason, nothing comes twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.agent_killer import KILL_AGENT
from support.commands import account
from support.emulator_async import run
from support.emulator_runs import Story, environment
from support.http_sink import HttpSink
from support.namespaces import needs_namespaces
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.invocations import new_invocation
from tailrace.emulator.machine.policy import Policy
from tailrace.packaging.cache import plain_layer

# Lines of about a kilobyte: `lines` of them, then perhaps no end, or SIGKILL for the agent when enough is on its disk.
FUNCTION = (
    KILL_AGENT
    + """
import time
def handler(event, context):
    for n in range(event.get("lines", 1)):
        print(f"{event['call']}:{n} " + "x" * 1000)
    if event.get("fill"):
        fill()
    if event.get("kill"):
        while on_disk() < event.get("spooled", 0):
            time.sleep(0.01)
        time.sleep(0.3)
        kill_agent()
    if event.get("hang"):
        time.sleep(60)

def fill():
    with open("/tmp/full", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass

def on_disk():
    count = 0
    for path in pathlib.Path(os.environ.get("TAILRACE_SPOOL_DIR", "/nowhere")).rglob("*"):
        try:
            count += path.read_bytes().count(b"x" * 1000)
        except OSError:  # a folder, or done with
            pass
    return count
"""
)
LIMIT_S = 20.0
IN_512_MB: dict[str, Any] = {"isolation": "namespace", "tmp_mb": 512}
SMALL = {"TAILRACE_QUEUE_MAX_BYTES": "65536", "TAILRACE_END_WAIT_MS": "100"}


def agent() -> Path:
    return plain_layer() / "extensions" / "tailrace"


async def invoke(env: ExecutionEnvironment, **event: object) -> None:
    words = ",".join(f'"{name}":{int(value) if isinstance(value, bool) else value}' for name, value in event.items())
    await env.invoke(new_invocation(f"{{{words}}}".encode(), env.now_ns()))


Tale = Callable[[ExecutionEnvironment, Story], Awaitable[None]]


def told(
    tmp_path: Path, url: str, tale: Tale, settings: Mapping[str, str] | None = None, **more: Any
) -> tuple[Mapping[str, Any], Story]:
    """The ledger's row of an agent that delivered to `url` while `tale` happened, and everything that was seen."""

    async def scenario() -> tuple[Mapping[str, object] | None, Story]:
        variables = {**SMALL, **(settings or {}), "TAILRACE_DESTINATIONS": url}
        async with environment(tmp_path, FUNCTION, extensions=[agent()], variables=variables, **more) as (env, story):
            await tale(env, story)
            await env.shutdown()
            return env.ledger, story

    ledger, story = run(scenario())
    assert ledger is not None, story.lines
    (row,) = (row for name, row in ledger.items() if isinstance(row, dict) and name not in ("refused", "platform"))
    return row, story


def rows_in(story: Story) -> Any:
    """The whole of the last ledger."""
    return json.loads(ledgers_in(story)[-1])


async def process_has_left(story: Story, ledgers: int = 1) -> None:
    """The agent's process has printed its ledger: what it could not deliver is on disk."""
    async with asyncio.timeout(LIMIT_S):
        while len(ledgers_in(story)) < ledgers:
            await asyncio.sleep(0.01)


def ledgers_in(story: Story) -> list[str]:
    return [line for line in story.lines if '"tailrace.ledger"' in line]


def function_lines(sink: HttpSink) -> list[str]:
    """What the function wrote, as it arrived, without its padding."""
    return [line["record"].split()[0] for line in sink.lines() if line["type"] == "function"]


def written(call: int, lines: int) -> list[str]:
    return [f"{call}:{n}" for n in range(lines)]


def test_what_memory_cannot_hold_waits_on_disk_and_arrives_in_order(tmp_path: Path) -> None:
    with HttpSink() as sink:

        async def outlives_an_outage(env: ExecutionEnvironment, story: Story) -> None:
            await invoke(env, call=1)
            sink.kill()
            await invoke(env, call=2, lines=600)
            sink.revive()
            await invoke(env, call=3)

        row, _ = told(tmp_path, f"http://127.0.0.1:{sink.port}/in", outlives_an_outage)

        assert row["received"] == row["delivered"] == account(row) == len(sink.lines())
        assert function_lines(sink) == [*written(1, 1), *written(2, 600), *written(3, 1)]


def test_what_a_timeout_interrupts_is_delivered_by_the_next_process(tmp_path: Path) -> None:
    with HttpSink() as sink:

        async def times_out(env: ExecutionEnvironment, story: Story) -> None:
            await invoke(env, call=1)
            sink.kill()
            await invoke(env, call=2, lines=200, hang=True)
            await process_has_left(story)
            sink.revive()
            await invoke(env, call=3)

        row, story = told(tmp_path, f"http://127.0.0.1:{sink.port}/in", times_out, timeout_s=2)

        former, latter = ledgers_in(story)
        assert '"spooled":2' in former
        assert '"takenOver":2' in latter
        assert row["received"] == row["delivered"] == account(row) == len(sink.lines())
        assert row["held"] == 0
        assert function_lines(sink) == [*written(1, 1), *written(2, 200), *written(3, 1)]


def test_a_reset_with_a_destination_that_stays_dead_loses_nothing_before_the_end(tmp_path: Path) -> None:
    async def stays_dead(env: ExecutionEnvironment, story: Story) -> None:
        await invoke(env, call=1, lines=200, hang=True)
        await invoke(env, call=2, lines=10)

    row, story = told(tmp_path, "http://127.0.0.1:9/gone", stays_dead, timeout_s=2)

    assert row["received"] == account(row) >= 210
    assert row["dropped"] == {"shutdown": row["received"]}
    assert row["held"] == 0
    assert len(ledgers_in(story)) == 2


def test_a_killed_process_is_accounted_for_by_the_next_one(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()  # where the function sees how far the agent has come
    with HttpSink() as sink:

        async def is_killed(env: ExecutionEnvironment, story: Story) -> None:
            await invoke(env, call=1, lines=20)
            sink.kill()
            await invoke(env, call=2, lines=600, kill=True, spooled=500)
            sink.revive()
            await invoke(env, call=3)

        settings = {"TAILRACE_SPOOL_DIR": str(spool)}
        row, _ = told(tmp_path, f"http://127.0.0.1:{sink.port}/in", is_killed, settings, timeout_s=LIMIT_S)

        arrived = function_lines(sink)
        assert row["received"] == account(row)
        assert row["delivered"] == len(sink.lines())
        assert set(row["dropped"]) == {"process_killed"}
        # Memory held a tenth; the rest was on disk and came through. What is missing is counted to the last line.
        assert len(arrived) == len(set(arrived)) >= 500
        missing = {*written(1, 20), *written(2, 600), *written(3, 1)} - set(arrived)
        assert 0 < len(missing) <= row["dropped"]["process_killed"] <= len(missing) + 20


def test_a_killed_process_that_held_nothing_took_nothing_with_it(tmp_path: Path) -> None:
    with HttpSink() as sink:

        async def is_killed_when_idle(env: ExecutionEnvironment, story: Story) -> None:
            await invoke(env, call=1, lines=50)
            await invoke(env, call=2, lines=0, kill=True)
            await invoke(env, call=3)

        row, _ = told(tmp_path, f"http://127.0.0.1:{sink.port}/in", is_killed_when_idle)

        assert row["received"] == account(row) == row["delivered"] + row["dropped"].get("process_killed", 0)
        assert row["delivered"] == len(sink.lines())
        assert function_lines(sink) == [*written(1, 50), *written(3, 1)]
        assert row["dropped"].get("process_killed", 0) <= 3  # platform events of the invocation that killed it


@needs_namespaces
def test_with_memory_and_disk_full_telemetry_stays_with_the_platform_and_nothing_is_lost(tmp_path: Path) -> None:
    patient = Policy(freeze_after_ms=0, telemetry_retry_delays_ms=(50,) * 200)
    with HttpSink() as sink:

        async def fills_the_disk(env: ExecutionEnvironment, story: Story) -> None:
            await invoke(env, call=1, fill=True)
            sink.kill()
            await invoke(env, call=2, lines=1200)
            await goes_on_until(env, lambda: is_refusing(story))
            sink.revive()
            await invoke(env, call=3)
            await goes_on_until(env, lambda: "3:0" in function_lines(sink))

        row, story = told(tmp_path, f"http://127.0.0.1:{sink.port}/in", fills_the_disk, policy=patient, **IN_512_MB)

        assert row["received"] == account(row) == row["delivered"] == len(sink.lines()), (row, story.lines)
        # Each once. Requests on several connections can overtake each other; what is in one of them is in order.
        for numbers in ([line["seq"] for line in batch] for batch in sink.batches()):
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert sorted(function_lines(sink)) == sorted([*written(1, 1), *written(2, 1200), *written(3, 1)])
        assert rows_in(story)["refused"]["rejected"] > 0
        assert any("No space left" in line for line in story.lines)


@needs_namespaces
def test_what_the_platform_gives_up_while_memory_and_disk_are_full_is_named(tmp_path: Path) -> None:
    hasty = Policy(freeze_after_ms=0, telemetry_retry_delays_ms=(1, 1))
    with HttpSink() as sink:

        async def fills_the_disk(env: ExecutionEnvironment, story: Story) -> None:
            await invoke(env, call=1, fill=True)
            sink.kill()
            await invoke(env, call=2, lines=1200)
            await goes_on_until(env, lambda: is_refusing(story))
            for _ in range(50):  # the platform's own attempts need time in which nothing is frozen
                await invoke(env, call=3, lines=0)
            sink.revive()
            await goes_on_until(env, lambda: any("the platform dropped telemetry" in line for line in story.lines))

        row, story = told(tmp_path, f"http://127.0.0.1:{sink.port}/in", fills_the_disk, policy=hasty, **IN_512_MB)

        assert row["received"] == account(row) == row["delivered"] == len(sink.lines())
        arrived = [line for line in function_lines(sink) if line.startswith("2:")]
        assert len(set(arrived)) == len(arrived)
        lost = rows_in(story)["platform"]["dropped"]["logs_dropped"]
        assert 0 < 1200 - len(arrived) <= lost


def is_refusing(story: Story) -> bool:
    return any("telemetry is refused for now" in line for line in story.lines)


async def goes_on_until(env: ExecutionEnvironment, is_done: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not is_done():
            await invoke(env, call=4, lines=0)


@pytest.mark.parametrize("where", ["relative/path", "/proc/no-folder"])
def test_a_folder_that_cannot_be_used_costs_the_spool_and_nothing_else(tmp_path: Path, where: str) -> None:
    with HttpSink() as sink:

        async def works(env: ExecutionEnvironment, story: Story) -> None:
            await invoke(env, call=1)

        row, story = told(tmp_path, f"http://127.0.0.1:{sink.port}/in", works, settings={"TAILRACE_SPOOL_DIR": where})

        assert row["received"] == row["delivered"] == len(sink.lines())
        if where.startswith("/"):
            assert any("cannot be used" in line and "no-folder" in line for line in story.lines)
