"""What lines and events look like to a subscriber: log formats, schema versions, odd text."""

from __future__ import annotations

import json

import pytest

from support.machine_telemetry import delivered, subscribed
from support.machine_world import World, ext
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import WriteLog
from tailrace.emulator.machine.policy import Policy


def test_several_lines_of_one_read_are_as_many_events() -> None:
    world = subscribed("function", timeout_ms=25)
    world.feed(facts.LinesWritten("runtime", 1, ("one", "", "two")))
    world.advance(25)
    assert [event["record"] for event in delivered(world)] == ["one", "", "two"]


def test_types_not_asked_for_are_published_but_not_sent() -> None:
    world = subscribed("extension", timeout_ms=25)
    world.line("function's")
    world.line("extension's", ext("a"))
    world.advance(25)
    assert [event["record"] for event in delivered(world)] == ["extension's"]
    assert "function" in world.types()


JSON_LINE = '{"level": "INFO", "n": 1.50, "n": 2}'


@pytest.mark.parametrize(
    ("log_format", "version", "line", "expected"),
    [
        ("Text", "2025-01-29", JSON_LINE, JSON_LINE),
        ("JSON", "2022-07-01", JSON_LINE, JSON_LINE),
        ("JSON", "2022-12-13", JSON_LINE, {"level": "INFO", "n": 2}),
        ("JSON", "2022-12-13", "plain", "wrapped"),
        ("JSON", "2022-07-01", "plain", "plain"),
        ("JSON", "2025-01-29", "[1]", "wrapped"),
        ("JSON", "2025-01-29", '{"n": NaN}', "wrapped"),
        ("JSON", "2025-01-29", "{" * 5000, "wrapped"),
        ("JSON", "2025-01-29", "", "wrapped"),
        ("Text", "2022-07-01", "", ""),
    ],
)
def test_lines_under_each_log_format_and_schema(log_format: str, version: str, line: str, expected: object) -> None:
    world = subscribed("function", timeout_ms=25, version=version, log_format=log_format)
    world.line(line)
    world.advance(25)
    [event] = delivered(world)
    if expected == "wrapped":
        expected = {
            "timestamp": event["time"],
            "level": "INFO",
            "message": line,
            "requestId": "10000000-0000-4000-8000-000000000001",
        }
    assert event["record"] == expected
    assert world.log()[-1] == line


def test_a_json_line_is_embedded_as_it_is() -> None:
    world = subscribed("function", timeout_ms=25, log_format="JSON")
    world.line(JSON_LINE)
    world.advance(25)
    assert JSON_LINE.encode() in world.posts()[0].body


def test_undecodable_text_is_sent_as_valid_json() -> None:
    world = subscribed("function", timeout_ms=25)
    world.line("é \udc80 \u2028")
    world.advance(25)
    assert delivered(world)[0]["record"] == "é \udc80 \u2028"


def test_each_schema_has_its_own_init_start() -> None:
    for version, has_name in (("2022-07-01", False), ("2022-12-13", True)):
        world = World("a")
        world.feed(facts.InitRequested())
        world.register("a")
        world.subscribe("a", "platform", version=version, timeout_ms=25)
        world.advance(25)
        record = delivered(world)[0]["record"]
        assert ("functionName" in record) is has_name
        assert record["runtimeVersion"] == "python:3.13"


def test_a_json_log_stream_shows_events_by_system_level() -> None:
    world = World(log_format="JSON")
    world.cold_start()
    world.invoke()
    world.finish("10000000-0000-4000-8000-000000000001")
    assert [json.loads(line)["type"] for line in world.log()] == [
        "platform.initStart",
        "platform.start",
        "platform.report",
    ]
    world.invoke()
    world.exit("runtime", 1)
    assert [json.loads(line)["type"] for line in world.log()[3:]] == [
        "platform.start",
        "platform.runtimeDone",
        "platform.report",
    ]
    verbose = World(log_format="JSON", policy=Policy(system_log_level="DEBUG"))
    verbose.cold_start()
    assert "platform.initRuntimeDone" in [json.loads(line)["type"] for line in verbose.log()]


def test_lines_belong_to_the_invocation_under_way() -> None:
    world = World()
    world.feed(facts.InitRequested())
    world.line("import")
    world.runtime_next()
    request_id = world.run_invocation()
    world.line("late")
    world.invoke()
    world.line("second")
    ids = {effect.text: effect.request_id for effect in world.of(WriteLog) if effect.source == "function"}
    assert ids == {"import": None, "late": None, "second": "10000000-0000-4000-8000-000000000002"}
    by_id = [effect.text.split()[0] for effect in world.of(WriteLog) if effect.request_id == request_id]
    assert by_id == ["START", "END", "REPORT"]
