"""The first moments of the real agent: what it says to the platform, in which order, and what it bears."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from support.agent_process import PYTHON, AgentProcess
from support.fake_lambda_api import NEXT, REGISTER, TELEMETRY, FakeLambdaApi, Script
from support.telemetry import invocation

IN_ORDER = [f"POST {REGISTER}", f"PUT {TELEMETRY}", f"GET {NEXT}"]


def test_it_registers_subscribes_and_calls_next_over_one_connection_and_asks_nothing_else(
    opt: Path, api: FakeLambdaApi
) -> None:
    with AgentProcess(opt, api.address) as agent:
        api.wait_for_next()
        assert api.post_telemetry([]) == 200  # everything that start does is done
        assert api.lines() == IN_ORDER
        assert api.connections == 1
        assert agent.running()


def test_it_registers_under_its_name_for_both_events_and_asks_for_the_account(opt: Path, api: FakeLambdaApi) -> None:
    with AgentProcess(opt, api.address):
        register = api.first(REGISTER)
    assert register.headers["Lambda-Extension-Name"] == "tailrace"
    assert register.headers["Lambda-Extension-Accept-Feature"] == "accountId"
    assert register.json() == {"events": ["INVOKE", "SHUTDOWN"]}


def test_it_subscribes_under_its_identifier_with_the_shortest_buffering(opt: Path, api: FakeLambdaApi) -> None:
    with AgentProcess(opt, api.address):
        subscription = api.first(TELEMETRY)
    assert subscription.headers["Lambda-Extension-Identifier"] == api.identifier
    body = subscription.json()
    assert body["schemaVersion"] == "2022-12-13"
    assert body["types"] == ["platform", "function"]
    assert body["buffering"] == {"maxItems": 1000, "maxBytes": 262144, "timeoutMs": 25}
    assert body["destination"]["protocol"] == "HTTP"
    host, _, port = body["destination"]["URI"].rpartition(":")
    assert host == "http://sandbox.localdomain"
    assert 0 < int(port) < 65536


@pytest.mark.parametrize(
    ("wanted", "types"),
    [
        ("function", ["platform", "function"]),
        ("Extension, function", ["platform", "function", "extension"]),
        ("platform", ["platform"]),
        ("metrics", ["platform", "function"]),
        (" ", ["platform", "function"]),
    ],
)
def test_it_subscribes_to_platform_and_what_is_wanted(
    opt: Path, api: FakeLambdaApi, wanted: str, types: list[str]
) -> None:
    with AgentProcess(opt, api.address, {"TAILRACE_TYPES": wanted}):
        assert api.subscription()["types"] == types


def test_on_managed_instances_it_asks_for_what_there_is(opt: Path, api: FakeLambdaApi) -> None:
    with AgentProcess(opt, api.address, {"AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances"}):
        assert api.subscription()["schemaVersion"] == "2025-01-29"
        assert api.first(REGISTER).json() == {"events": ["SHUTDOWN"]}


def test_a_register_that_fails_twice_is_tried_again_and_said_once(opt: Path) -> None:
    with FakeLambdaApi(Script(register_failures=[500, 403])) as api, AgentProcess(opt, api.address) as agent:
        api.wait_for_next()
        assert api.lines() == [IN_ORDER[0], IN_ORDER[0], *IN_ORDER]
        api.shutdown()
        assert agent.exit_code() == 0
        said = [message for message in agent.messages() if message.startswith("register failed")]
        assert [message[:27] for message in said] == ["register failed: status 500"]


def test_a_register_that_never_succeeds_leaves_the_process_there(opt: Path) -> None:
    with FakeLambdaApi(Script(register_failures=[500] * 50)) as api, AgentProcess(opt, api.address) as agent:
        agent.wait_for_line("register failed 5 times")
        assert agent.running()
        assert set(api.lines()) == {IN_ORDER[0]}


def test_where_telemetry_is_not_supported_it_waits_for_nothing(opt: Path, tmp_path: Path) -> None:
    script = Script(
        subscribe_status=202,
        subscribe_body=b'{"errorMessage":"Telemetry API is not supported","errorType":"Telemetry.NotSupported"}',
    )
    settings = {"TAILRACE_DESTINATIONS": f"file://{tmp_path}", "TAILRACE_SETTLE_MS": "10000"}
    with FakeLambdaApi(script) as api, AgentProcess(opt, api.address, settings) as agent:
        # An invocation of a quarter of an hour: waiting for its runtimeDone would outlast the test.
        api.invoke("request-1", timeout_s=900)
        api.wait_for_next(2)
        api.shutdown()
        assert agent.exit_code() == 0
        assert "not supported" in agent.said()[0]["message"]
        (row,) = agent.ledger().values()
        assert row["received"] == 0


@pytest.mark.parametrize("status", [403, 500])
def test_a_refused_subscription_is_said_once_and_next_goes_on(opt: Path, status: int) -> None:
    with FakeLambdaApi(Script(subscribe_status=status)) as api, AgentProcess(opt, api.address) as agent:
        for number in (2, 3):
            api.invoke(f"request-{number}", timeout_s=900)
            api.wait_for_next(number)
        api.shutdown()
        assert agent.exit_code() == 0
        refused = [message for message in agent.messages() if "was refused" in message]
        assert len(refused) == 1
        assert f"status {status}" in refused[0]
        assert api.count(TELEMETRY) == 1


def test_a_next_that_fails_is_said_once_and_called_again(opt: Path) -> None:
    with FakeLambdaApi(Script(next_failures=[500, 403])) as api, AgentProcess(opt, api.address) as agent:
        api.wait_for_next(3)
        api.shutdown()
        assert agent.exit_code() == 0
        assert len([message for message in agent.messages() if "event/next failed" in message]) == 1


def test_an_api_that_ends_the_connection_after_each_reply_will_do(opt: Path, tmp_path: Path) -> None:
    settings = {"TAILRACE_DESTINATIONS": f"file://{tmp_path}"}
    with FakeLambdaApi(Script(close_after_each_reply=True)) as api, AgentProcess(opt, api.address, settings) as agent:
        api.wait_for_next()
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1", "hello"))
        api.wait_for_next(2)
        assert list(tmp_path.rglob("*.ndjson"))
        api.shutdown()
        assert agent.exit_code() == 0
        assert agent.messages() == []


@pytest.mark.parametrize("body", [b'{"eventType":"RESTORE","deadlineMs":1}', b"[]", b"nonsense", b"", b"[" * 5000])
def test_an_event_that_is_not_known_leads_to_the_next_one(opt: Path, api: FakeLambdaApi, body: bytes) -> None:
    with AgentProcess(opt, api.address) as agent:
        api.send_event(body)
        api.wait_for_next(2)
        api.shutdown()
        assert agent.exit_code() == 0


def test_a_listen_host_that_cannot_be_used_gives_way_to_the_default_and_is_said_once(
    opt: Path, api: FakeLambdaApi, tmp_path: Path
) -> None:
    settings = {"TAILRACE_LISTEN_HOST": "no such host!", "TAILRACE_DESTINATIONS": f"file://{tmp_path}"}
    with AgentProcess(opt, api.address, settings) as agent:
        api.wait_for_next()
        assert api.post_telemetry([]) == 200
        api.shutdown()
        assert agent.exit_code() == 0
        (message,) = agent.messages()
        assert message.startswith("TAILRACE_LISTEN_HOST: cannot listen on no such host!")


def test_it_listens_on_loopback_alone_where_it_is_told_to(opt: Path, api: FakeLambdaApi) -> None:
    with AgentProcess(opt, api.address):
        port = int(api.subscription()["destination"]["URI"].rpartition(":")[2])
        # /proc/net/tcp: local address in hexadecimal, state 0A is LISTEN.
        listening = [row.split()[1] for row in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in row]
        assert f"0100007F:{port:04X}" in listening
        assert f"00000000:{port:04X}" not in listening


def test_when_the_platform_and_the_parent_are_gone_the_process_goes_too(opt: Path) -> None:
    with FakeLambdaApi() as api:
        parent = subprocess.Popen(
            ["/bin/sh", "-c", f"{opt}/extensions/tailrace >/dev/null & echo $!; wait"],
            env={"AWS_LAMBDA_RUNTIME_API": api.address, "PATH": f"{PYTHON.parent}:/usr/bin:/bin"},
            stdout=subprocess.PIPE,
        )
        with parent:
            assert parent.stdout is not None
            agent = int(parent.stdout.readline())
            descriptor = os.pidfd_open(agent)
            api.wait_for_next()
            parent.kill()
            parent.wait(30)
    try:
        assert ends_within(descriptor, 30)
    finally:
        os.close(descriptor)


def ends_within(descriptor: int, limit_s: float) -> bool:
    """Whether the process behind a pidfd ended within `limit_s`; it is killed otherwise."""
    ended = bool(select.select([descriptor], [], [], limit_s)[0])
    if not ended:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    return ended
