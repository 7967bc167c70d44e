"""The Logs API in the machine: its own events and records, two schema versions, PUT and TCP, one API an extension."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.machine_world import World, ext
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import ConnectSubscriber, Respond
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import extensions_api, logs_api, telemetry_api

ALL = ("platform", "function", "extension")


def logs(world: World, name: str, *types: str, destination: dict[str, Any] | None = None, **members: Any) -> Respond:
    body = {
        "types": list(types or ALL),
        "buffering": {"timeoutMs": 25},
        "destination": destination or {"protocol": "HTTP", "URI": f"http://sandbox:4243/{name}"},
        **members,
    }
    identifier = {extensions_api.IDENTIFIER: world.identifiers[name]}
    return world.reply("PUT", logs_api.PATH, identifier, json.dumps(body).encode())


def registered(*names: str, **changes: Any) -> World:
    world = World(*names, **changes)
    world.deliver_well = True
    world.feed(facts.InitRequested())
    for name in names:
        world.register(name, "INVOKE", "SHUTDOWN")
    return world


def ready(world: World) -> None:
    for file in world.config.extensions:
        world.extension_next(file.name)
    world.runtime_next()


def delivered(world: World, name: str = "a") -> list[dict[str, Any]]:
    return [event for post in world.posts(name) for event in json.loads(post.body)]


def subscribed(**members: Any) -> World:
    world = registered("a", timeout_s=900)
    assert logs(world, "a", **members).status == 200
    ready(world)
    return world


def one_invocation(world: World) -> list[dict[str, Any]]:
    request_id = world.invoke(trace_header="Root=1-65a1b2c3-0123456789abcdef01234567")
    world.line("hello")
    world.advance(100)
    world.finish(request_id)
    world.invoke()
    world.advance(100)
    return delivered(world)


def test_the_events_of_the_first_schema_with_exactly_their_members() -> None:
    events = one_invocation(subscribed())
    first = {event["type"]: event["record"] for event in reversed(events)}
    assert [event["type"] for event in events] == [
        "platform.logsSubscription",
        "platform.extension",
        "platform.start",
        "function",
        "platform.end",
        "platform.report",
        "platform.start",
    ]
    request_id = "10000000-0000-4000-8000-000000000001"
    assert first["platform.start"] == {"requestId": request_id, "version": "$LATEST"}
    assert first["platform.end"] == {"requestId": request_id}
    assert first["platform.logsSubscription"] == {"name": "a", "state": "Subscribed", "types": list(ALL)}
    assert first["platform.extension"] == {"name": "a", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}
    assert set(first["platform.report"]) == {"requestId", "metrics", "tracing"}
    assert set(first["platform.report"]["metrics"]) == {
        "durationMs",
        "billedDurationMs",
        "memorySizeMB",
        "maxMemoryUsedMB",
        "initDurationMs",
    }


def test_the_second_schema_adds_runtime_done() -> None:
    events = one_invocation(subscribed(schemaVersion="2021-03-18"))
    types = [event["type"] for event in events]
    assert types[types.index("function") + 1 :][:3] == ["platform.runtimeDone", "platform.end", "platform.report"]
    [done] = [event["record"] for event in events if event["type"] == "platform.runtimeDone"]
    assert done == {"requestId": "10000000-0000-4000-8000-000000000001", "status": "success"}


def test_a_crash_is_a_fault_in_the_words_of_the_log_and_a_failure() -> None:
    world = subscribed(schemaVersion="2021-03-18")
    request_id = world.invoke()
    world.exit("runtime", 1)
    world.advance(100)
    records = {event["type"]: event["record"] for event in delivered(world)}
    fault = f"RequestId: {request_id} Error: Runtime exited with error: exit status 1\nRuntime.ExitError"
    assert records["platform.fault"] == fault
    assert records["platform.runtimeDone"] == {"requestId": request_id, "status": "failure"}


def test_telemetry_subscribers_never_hear_what_is_the_logs_apis_own() -> None:
    world = registered("a", "b")
    assert logs(world, "a").status == 200
    assert world.subscribe("b", timeout_ms=25).status == 200
    ready(world)
    world.invoke()
    world.exit("runtime", 1)
    world.advance(100)
    heard = {event["type"] for event in delivered(world, "b")}
    assert heard.isdisjoint({"platform.end", "platform.fault", "platform.logsSubscription"})
    assert "platform.telemetrySubscription" not in {event["type"] for event in delivered(world, "a")}


def test_nobody_subscribed_means_no_such_events_at_all() -> None:
    world = World()
    world.cold_start()
    world.run_invocation()
    assert "platform.end" not in world.types()


@pytest.mark.parametrize(
    ("policy", "by_logs", "by_telemetry"),
    [
        (Policy(), "hello\n", "hello"),
        (Policy(logs_api_keeps_newline=False), "hello", "hello"),
        (Policy(telemetry_api_keeps_newline=True), "hello\n", "hello\n"),
    ],
)
def test_the_line_feed_of_a_functions_line(policy: Policy, by_logs: str, by_telemetry: str) -> None:
    world = registered("a", "b", policy=policy)
    logs(world, "a")
    world.subscribe("b", timeout_ms=25)
    ready(world)
    world.invoke()
    world.line("hello")
    world.line("extension's", ext("a"))
    world.advance(25)
    for name, expected in (("a", by_logs), ("b", by_telemetry)):
        records = [event["record"] for event in delivered(world, name) if event["type"] in ("function", "extension")]
        assert records == [expected, "extension's"]


def test_lines_are_texts_whatever_the_log_format() -> None:
    world = registered("a", log_format="JSON")
    logs(world, "a", "function")
    ready(world)
    world.invoke()
    world.line('{"n": 1}')
    world.line("plain")
    world.advance(25)
    assert [event["record"] for event in delivered(world)] == ['{"n": 1}\n', "plain\n"]


def test_batches_are_put_where_the_subscription_says_so() -> None:
    destination = {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243/in", "method": "PUT"}
    world = subscribed(destination=destination)
    world.invoke()
    world.advance(25)
    assert {(post.method, post.uri) for post in world.posts()} == {("PUT", "http://sandbox.localdomain:4243/in")}


def test_over_tcp_each_event_is_a_line() -> None:
    world = registered("a")
    world.listening = {4243}
    assert logs(world, "a", destination={"protocol": "TCP", "port": 4243}).status == 200
    ready(world)
    world.invoke()
    world.advance(25)
    [first, *_] = world.posts()
    assert first.uri == "tcp://sandbox.localdomain:4243"
    assert first.body.endswith(b"}\n")
    assert json.loads(first.body.splitlines()[0])["type"] == "platform.logsSubscription"


@pytest.mark.parametrize(
    ("first_is_logs", "policy", "status", "error_type"),
    [
        (True, Policy(), 403, "Telemetry.SubscriptionClosed"),
        (False, Policy(), 403, "Logs.SubscriptionClosed"),
        (True, Policy(second_api_refused_as_closed=False), 400, "ValidationError"),
        (False, Policy(second_api_refused_as_closed=False), 400, "Logs.ValidationError"),
    ],
)
def test_an_extension_uses_one_api_only(first_is_logs: bool, policy: Policy, status: int, error_type: str) -> None:
    world = registered("a", policy=policy)
    calls: list[Callable[[], Respond]] = [lambda: logs(world, "a"), lambda: world.subscribe("a")]
    first, second = calls if first_is_logs else calls[::-1]
    assert first().status == 200
    refused = second()
    assert (refused.status, json.loads(refused.body)["errorType"]) == (status, error_type)
    assert first().status == 200


def test_late_is_refused_in_its_own_words() -> None:
    world = subscribed()
    world.invoke()
    refused = logs(world, "a")
    assert (refused.status, json.loads(refused.body)) == (
        403,
        {"errorMessage": "Logs API subscription is closed already", "errorType": "Logs.SubscriptionClosed"},
    )


@pytest.mark.parametrize(
    ("policy", "path", "words"),
    [
        (Policy(logs_api_enabled=False), logs_api.PATH, "Logs"),
        (Policy(telemetry_api_enabled=False), telemetry_api.PATH, "Telemetry"),
    ],
)
def test_an_api_that_is_switched_off_says_so_with_202(policy: Policy, path: str, words: str) -> None:
    world = registered("a", policy=policy)
    found = world.reply("PUT", path, {}, b"nope")
    document = {"errorMessage": f"{words} API is not supported", "errorType": f"{words}.NotSupported"}
    assert (found.status, json.loads(found.body)) == (202, document)


def test_the_log_tells_of_the_subscription() -> None:
    line = "LOGS\tName: a\tState: Subscribed\tTypes: [Platform, Function, Extension]"
    assert line in subscribed().log()
    quiet = registered("a", policy=Policy(logs_subscription_line=False))
    logs(quiet, "a")
    assert line not in quiet.log()


def test_a_late_subscriber_gets_the_lines_of_the_same_init() -> None:
    world = registered("a", "b")
    world.line("early", ext("b"))
    logs(world, "a")
    world.advance(25)
    assert [event["type"] for event in delivered(world)] == ["extension", "platform.logsSubscription"]


def test_the_request_stays_open_until_the_listener_has_answered() -> None:
    world = registered("a")
    world.listening = None
    body = json.dumps({"types": ["function"], "destination": {"protocol": "TCP", "port": 4243}}).encode()
    exchange = world.http("PUT", logs_api.PATH, {extensions_api.IDENTIFIER: world.identifiers["a"]}, body)
    assert exchange not in world.responses
    [connect] = world.of(ConnectSubscriber)
    world.feed(facts.SubscriberConnected(connect.connection, "connection refused"))
    assert json.loads(world.responses[exchange].body) == {
        "errorMessage": "Invalid destination: could not TCP dial provided address 127.0.0.1:4243: "
        "dial tcp 127.0.0.1:4243: connect: connection refused",
        "errorType": "Logs.ValidationError",
    }
