"""What real subscribers of each schema version read of a cold and a warm invocation, member by member."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from support.emulator_async import run
from support.emulator_extensions import ShellExtension
from support.emulator_runs import environment, executable, invoke
from tailrace.emulator.machine.log_levels import LEVELS

FIRST, SECOND, THIRD = VERSIONS = ("2022-07-01", "2022-12-13", "2025-01-29")
FUNCTION = """
import json
def handler(event, context):
    print("plain")
    print(json.dumps({"n": 1}))
"""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

INIT_START = {"initializationType", "phase", "runtimeVersion", "runtimeVersionArn"}
IDENTITY = {"functionName", "functionVersion", "instanceId", "instanceMaxMemory"}
OUTCOME = {"initializationType", "phase", "status"}
SPAN = {"name", "start", "durationMs"}
TRACING = {"spanId", "type", "value"}
METRICS = {"durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB"}


def members(version: str, type_: str) -> set[str]:
    """What lambda-platform.md 6.4 to 6.12 name for an on-demand environment in which all goes well."""
    return {
        "platform.initStart": INIT_START | (set() if version == FIRST else IDENTITY),
        "platform.telemetrySubscription": {"name", "state", "types"},
        "platform.initRuntimeDone": OUTCOME,
        "platform.extension": {"name", "state", "events"},
        "platform.initReport": (OUTCOME if version == THIRD else OUTCOME - {"status"}) | {"metrics"},
        "platform.start": {"requestId", "version", "tracing"},
        "platform.runtimeDone": {"requestId", "status", "metrics", "spans", "tracing"},
        "platform.report": {"requestId", "status", "metrics", "spans", "tracing"},
    }[type_]


def check_values(record: dict[str, Any]) -> None:
    assert None not in record.values()
    for span in record.get("spans", []):
        assert set(span) == SPAN
        assert TIME.fullmatch(span["start"])
        assert span["durationMs"] >= 0
    for name, value in record.get("metrics", {}).items():
        whole = name not in ("durationMs", "initDurationMs")
        assert type(value) is int if whole else type(value) is float, name
    if "tracing" in record:
        assert set(record["tracing"]) == TRACING
    if "instanceMaxMemory" in record:
        assert record["instanceMaxMemory"] == 128


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ShellExtension]:
    """Three extensions, each subscribed to everything with another schema version; JSON log format."""
    folder = tmp_path_factory.mktemp("shapes")
    extensions = {
        version: ShellExtension(folder / version, f"e-{version}", schema_version=version) for version in VERSIONS
    }

    async def main() -> None:
        paths = [extension.path for extension in extensions.values()]
        async with environment(folder, FUNCTION, extensions=paths, log_format="json") as (env, _):
            await invoke(env)
            await invoke(env)

    run(main())
    return extensions


@pytest.mark.parametrize("version", VERSIONS)
def test_every_event_has_exactly_the_members_of_its_schema(heard: dict[str, ShellExtension], version: str) -> None:
    for event in heard[version].telemetry:
        assert set(event) == {"time", "type", "record"}
        assert TIME.fullmatch(event["time"])
        if event["type"].startswith("platform."):
            assert set(event["record"]) == members(version, event["type"]), event["type"]
            check_values(event["record"])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_order_is_the_documented_one_and_time_never_goes_back(
    heard: dict[str, ShellExtension], version: str
) -> None:
    events = heard[version].telemetry
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    invocation = ["platform.start", "function", "function", "platform.runtimeDone", "platform.report"]
    assert [event["type"] for event in events if event["type"] != "extension"] == [
        "platform.initStart",
        *["platform.telemetrySubscription"] * 3,
        "platform.initRuntimeDone",
        *["platform.extension"] * 3,
        "platform.initReport",
        *invocation * 2,
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_figures_agree_with_each_other(heard: dict[str, ShellExtension], version: str) -> None:
    records = [
        (event["type"].removeprefix("platform."), event["record"])
        for event in heard[version].telemetry
        if event["type"].startswith("platform.")
    ]
    [init] = [record["metrics"]["durationMs"] for kind, record in records if kind == "initReport"]
    cold, warm = (record["metrics"] for kind, record in records if kind == "report")
    assert set(cold) == METRICS | {"initDurationMs"}
    assert set(warm) == METRICS
    assert cold["initDurationMs"] == init
    assert cold["billedDurationMs"] == -(-round((cold["durationMs"] + init) * 1000) // 1000)
    assert warm["billedDurationMs"] == -(-round(warm["durationMs"] * 1000) // 1000)
    for done in (record for kind, record in records if kind == "runtimeDone"):
        spans = {span["name"]: span["durationMs"] for span in done["spans"]}
        assert list(spans) == ["responseLatency", "responseDuration", "runtimeOverhead"]
        assert sum(spans.values()) == pytest.approx(done["metrics"]["durationMs"], abs=0.01)
        assert done["metrics"]["producedBytes"] == len("null")
    assert [[span["name"] for span in record["spans"]] for kind, record in records if kind == "report"] == [
        ["extensionOverhead"],
        ["extensionOverhead"],
    ]


def test_lines_under_the_json_log_format_are_objects_from_the_second_schema_on(
    heard: dict[str, ShellExtension],
) -> None:
    first, *later = (
        [event["record"] for event in heard[version].telemetry if event["type"] == "function"][:2]
        for version in VERSIONS
    )
    assert first == ["plain", '{"n": 1}']
    for plain, embedded in later:
        assert set(plain) == {"timestamp", "level", "message", "requestId"}
        assert plain["level"] in LEVELS
        assert embedded == {"n": 1}


SLOW_POSTER = """#!@PYTHON@ -IS
import os, socket, time
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
root = "/2018-06-01/runtime/invocation/"
while True:
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"GET {root}next HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n".encode())
        reply = connection.makefile("rb").read().decode()
    request_id = reply.partition("Request-Id: ")[2].split()[0]
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"POST {root}{request_id}/response HTTP/1.1\\r\\nContent-Length: 4\\r\\n\\r\\n".encode())
        time.sleep(0.1)
        connection.sendall(b"true")
        connection.recv(1000)
"""


def test_a_response_that_takes_its_time_shows_in_its_span(tmp_path: Path) -> None:
    runtime = executable(tmp_path / "bootstrap", SLOW_POSTER.replace("@PYTHON@", sys.executable))

    async def main() -> list[dict[str, Any]]:
        async with environment(tmp_path, "", bootstrap=runtime) as (env, _):
            result = await invoke(env)
            assert json.loads(result.answer.payload) is True
        events = [dict(entry.event) for entry in env.telemetry_log if entry.event["type"] == "platform.runtimeDone"]
        record = events[0]["record"]
        assert isinstance(record, dict)
        return list(record["spans"])

    spans = {span["name"]: span["durationMs"] for span in run(main())}
    assert spans["responseDuration"] >= 100
    assert spans["responseLatency"] < spans["responseDuration"]
