"""Real extensions that subscribe over TCP, by PUT, and to the Logs API; some of them slow, broken or not there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from support.emulator_async import run, until
from support.emulator_runs import environment, executable, invoke
from support.subscribers import Subscriber
from tailrace.emulator.machine.policy import Policy

LOGS = "/2020-08-15/logs"
TCP = {"protocol": "TCP", "port": 4243}
HELLO = "def handler(event, context):\n    print('hello')\n"
MANY = "def handler(event, context):\n    for n in range(50_000): print(f'{n:06}', 'x' * 93)\n"


def types(events: Iterable[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def lines(events: Iterable[dict[str, Any]]) -> list[Any]:
    return [event["record"] for event in events if event["type"] == "function"]


def test_telemetry_over_tcp_is_one_event_a_line_on_one_connection(tmp_path: Path) -> None:
    subscriber = Subscriber(tmp_path, destination=TCP)

    async def main() -> None:
        async with environment(tmp_path, HELLO, extensions=[subscriber.path], isolation="process") as (env, _):
            await invoke(env)
            await invoke(env)

    run(main())
    assert subscriber.note("answer") == '200 "OK"'
    assert subscriber.note("connections") == "x"
    assert types(subscriber.over_tcp) == [
        "platform.initStart",
        "platform.telemetrySubscription",
        "platform.initRuntimeDone",
        "platform.extension",
        "platform.initReport",
        *["platform.start", "function", "platform.runtimeDone", "platform.report"] * 2,
    ]
    assert lines(subscriber.over_tcp) == ["hello", "hello"]


def test_tcp_needs_a_listener_and_the_function_runs_without_it(tmp_path: Path) -> None:
    subscriber = Subscriber(tmp_path, destination=TCP, manner="no listener")

    async def main() -> None:
        async with environment(tmp_path, HELLO, extensions=[subscriber.path], isolation="process") as (env, _):
            assert (await invoke(env)).answer.payload == b"null"

    run(main())
    status, _, body = subscriber.note("answer").partition(" ")
    assert status == "400"
    assert json.loads(body)["errorType"] == "ValidationError"
    assert "could not TCP dial" in json.loads(body)["errorMessage"]


def test_a_tcp_connection_that_was_reset_is_made_again(tmp_path: Path) -> None:
    subscriber = Subscriber(tmp_path, destination=TCP, manner="close once")

    async def main() -> None:
        async with environment(tmp_path, HELLO, extensions=[subscriber.path], isolation="process", freeze=False) as (
            env,
            _,
        ):
            await invoke(env)
            await invoke(env)
            await until(lambda: types(subscriber.over_tcp)[-1:] == ["platform.report"])

    run(main())
    assert subscriber.note("connections") == "xx"
    assert lines(subscriber.over_tcp)[-1] == "hello"


def test_a_reader_that_never_reads_delays_neither_function_nor_others_and_memory_is_bounded(tmp_path: Path) -> None:
    stuck = Subscriber(tmp_path, "stuck", destination=TCP, manner="never read")
    gone = Subscriber(tmp_path, "gone", manner="no listener")
    well = Subscriber(tmp_path, "well")
    policy = Policy(telemetry_max_buffered_bytes=8_000_000)
    paths = [stuck.path, gone.path, well.path]

    async def main() -> None:
        async with environment(
            tmp_path, MANY, extensions=paths, isolation="process", timeout_s=20, policy=policy, freeze=False
        ) as (env, _):
            assert (await invoke(env)).answer.payload == b"null"
            await until(lambda: "platform.runtimeDone" in well.note("batches"))

    run(main(), limit_s=40)
    assert [subscriber.note("answer") for subscriber in (stuck, gone, well)] == ['200 "OK"'] * 3
    assert [int(line[:6]) for line in lines(well.over_http)] == list(range(50_000))


def test_the_logs_api_over_put(tmp_path: Path) -> None:
    destination = {"protocol": "HTTP", "URI": "http://sandbox:4243/logs/in?x=1", "method": "PUT", "encoding": "JSON"}
    subscriber = Subscriber(tmp_path, api=LOGS, destination=destination, schemaVersion="2021-03-18")

    async def main() -> None:
        async with environment(tmp_path, HELLO, extensions=[subscriber.path], isolation="process") as (env, story):
            await invoke(env)
            await invoke(env)
            name = subscriber.path.name
            assert f"LOGS\tName: {name}\tState: Subscribed\tTypes: [Platform, Function, Extension]" in story.lines

    run(main())
    assert set(subscriber.note("requests").splitlines()) == {"PUT /logs/in?x=1 HTTP/1.1"}
    invocation = ["platform.start", "function", "platform.runtimeDone", "platform.end", "platform.report"]
    assert types(subscriber.over_http) == ["platform.logsSubscription", "platform.extension", *invocation * 2]
    assert lines(subscriber.over_http) == ["hello\n", "hello\n"]


def test_the_logs_api_over_tcp(tmp_path: Path) -> None:
    subscriber = Subscriber(tmp_path, api=LOGS, destination=TCP)

    async def main() -> None:
        async with environment(tmp_path, HELLO, extensions=[subscriber.path], isolation="process") as (env, _):
            await invoke(env)

    run(main())
    assert types(subscriber.over_tcp) == [
        "platform.logsSubscription",
        "platform.extension",
        "platform.start",
        "function",
        "platform.end",
        "platform.report",
    ]


def test_a_crash_is_told_as_a_fault_before_the_extension_is_shut_down(tmp_path: Path) -> None:
    subscriber = Subscriber(tmp_path, api=LOGS)
    source = "import os\ndef handler(event, context): os._exit(3)\n"

    async def main() -> None:
        async with environment(tmp_path, source, extensions=[subscriber.path], isolation="process") as (env, _):
            await invoke(env)

    run(main())
    [fault] = [event["record"] for event in subscriber.over_http if event["type"] == "platform.fault"]
    assert fault.endswith("Error: Runtime exited with error: exit status 3\nRuntime.ExitError")


ODD_OUTPUT = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
event=$(curl -s -D headers "$api/invocation/next")
id=$(tr -d '\\r' < headers | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
printf '\\n\\n  x  \\none\\rtwo\\nb\\000\\377\\376\\200\\ncrlf\\r\\n'
(sleep 0.05; echo "from a child")
printf 'unterminated'
exec >&- 2>&-
curl -s -X POST "$api/invocation/$id/response" -d '1' > answer
exec curl -s "$api/invocation/next" > answer
"""


def test_every_line_of_an_odd_stream_is_delivered_and_its_end_is_an_end(tmp_path: Path) -> None:
    subscriber = Subscriber(tmp_path)
    runtime = executable(tmp_path / "bootstrap", ODD_OUTPUT)

    async def main() -> None:
        async with environment(tmp_path, bootstrap=runtime, extensions=[subscriber.path], isolation="process") as (
            env,
            _,
        ):
            assert (await invoke(env)).answer.payload == b"1"

    run(main())
    assert lines(subscriber.over_http) == [
        "",
        "",
        "  x  ",
        "one\rtwo",
        "b\0\ufffd\ufffd\ufffd",
        "crlf",
        "from a child",
        "unterminated",
    ]
