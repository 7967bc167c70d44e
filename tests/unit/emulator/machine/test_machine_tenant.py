"""Who calls: tenant, client context, Cognito identity, as the runtime and telemetry see them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.machine_world import World
from tailrace.emulator.machine import effects as fx
from tailrace.protocol import runtime_api

FIRST = "10000000-0000-4000-8000-000000000001"


def handed_out(world: World, **more: Any) -> list[fx.Respond]:
    """Invoke, and what the runtime's `next` is answered."""
    world.invoke(**more)
    return world.of(fx.Respond, world.last)


def test_the_tenant_is_told_to_the_runtime_and_in_every_event_of_the_invocation() -> None:
    world = World("a", tenant_isolation=True)
    world.cold_start()
    to_runtime = handed_out(world, tenant_id="t-1")[0]
    assert dict(to_runtime.headers)[runtime_api.TENANT_ID] == "t-1"
    world.finish(FIRST)
    for type_ in ("platform.start", "platform.runtimeDone", "platform.report"):
        assert world.record(type_)["tenantId"] == "t-1"
    assert "tenantId" not in world.record("platform.initStart")


def test_without_a_tenant_nothing_is_said_of_one() -> None:
    world = World()
    world.cold_start()
    world.run_invocation()
    for type_ in ("platform.start", "platform.runtimeDone", "platform.report"):
        assert "tenantId" not in world.record(type_)
    assert runtime_api.TENANT_ID not in str(world.responses)


def test_a_tenant_named_to_a_function_that_does_not_isolate_them_is_passed_on() -> None:
    world = World()
    world.cold_start()
    for tenant_id in ("a", "b"):
        request_id = world.invoke(tenant_id=tenant_id)
        (to_runtime,) = world.of(fx.Respond, world.last)
        assert dict(to_runtime.headers)[runtime_api.TENANT_ID] == tenant_id
        world.finish(request_id)
        assert world.record("platform.report")["tenantId"] == tenant_id
    assert [report.status for report in world.reports()] == ["success", "success"]


def test_an_environment_serves_one_tenant_for_life() -> None:
    world = World(tenant_isolation=True)
    world.cold_start()
    world.finish(world.invoke(tenant_id="a"))
    world.invoke(tenant_id="b")
    refused = world.answers()[-1]
    assert refused.function_error == "Unhandled"
    assert "serves another tenant" in json.loads(refused.payload)["errorMessage"]
    assert world.machine.phase == "idle"
    world.finish(world.invoke(tenant_id="a"))
    assert [report.status for report in world.reports()] == ["success", "failure", "success"]


def test_a_function_that_isolates_tenants_wants_one() -> None:
    world = World(tenant_isolation=True)
    world.cold_start()
    world.invoke()
    assert "names none" in json.loads(world.answers()[-1].payload)["errorMessage"]
    assert world.reports()[-1].status == "failure"


def test_other_functions_serve_whoever_calls() -> None:
    world = World()
    world.cold_start()
    for tenant_id in ("a", "b", ""):
        world.finish(world.invoke(tenant_id=tenant_id))
    assert [report.status for report in world.reports()] == ["success"] * 3


@pytest.mark.parametrize(
    ("member", "header", "value"),
    [
        ("client_context", runtime_api.CLIENT_CONTEXT, '{"custom":{"a":"b"}}'),
        ("cognito_identity", runtime_api.COGNITO_IDENTITY, '{"cognitoIdentityId":"a","cognitoIdentityPoolId":"b"}'),
        ("trace_header", runtime_api.TRACE_ID, "Root=1-5e1b4151-5ac6c58f5b5dcc9e0d6e0f2a;Sampled=1"),
        ("tenant_id", runtime_api.TENANT_ID, "t-1"),
    ],
)
def test_what_is_known_of_a_call_is_a_header_and_what_is_not_is_none(member: str, header: str, value: str) -> None:
    world = World()
    world.cold_start()
    (reply,) = handed_out(world, **{member: value})
    assert dict(reply.headers)[header] == value
    world.finish(FIRST)
    (reply,) = handed_out(world)
    assert header not in dict(reply.headers)
