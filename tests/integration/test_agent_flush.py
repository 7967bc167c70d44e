"""When the agent calls Next, and where the last lines are then: real processes, real freezes, real resets."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from support.agent_process import AgentProcess
from support.fake_lambda_api import FakeLambdaApi
from support.gated_sink import GatedSink
from support.telemetry import done, invocation, line, started

FUNCTION_LINES = {"TAILRACE_TYPES": "function"}
# Holds every invocation, as sparse traffic would be: no interval counts as short.
NEVER_STEADY = {**FUNCTION_LINES, "TAILRACE_STEADY_MS": "0"}


def to(sink: GatedSink, *more: dict[str, str]) -> dict[str, str]:
    settings = {"TAILRACE_DESTINATIONS": sink.url, "TAILRACE_END_WAIT_MS": "20000"}
    for each in more:
        settings |= each
    return settings


def invoke(api: FakeLambdaApi, number: int, *texts: str, timeout_s: float = 60) -> None:
    """One invocation of which everything is told at once, up to the call to Next."""
    api.invoke(f"request-{number}", timeout_s)
    api.post_telemetry(invocation(f"request-{number}", *texts))
    api.wait_for_next(number + 1)


def test_the_first_flush_waits_for_its_reply_and_the_later_ones_only_for_the_wire(
    opt: Path, api: FakeLambdaApi
) -> None:
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, NEVER_STEADY)) as agent:
        invoke(api, 1, "first")
        assert sink.answered == 1
        sink.close_gate()
        invoke(api, 2, "second")
        assert sink.answered == 1  # Next was called without the reply
        sink.wait_for_record("second")  # and what was written arrives all the same
        sink.open_gate()
        api.shutdown()
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
        assert (row["delivered"], row["resentUnconfirmed"]) == (2, 0)
        assert sink.records() == ["first", "second"]


def test_a_back_end_that_answers_after_the_cap_is_waited_for_once_and_gets_every_last_line_in_time(
    opt: Path, api: FakeLambdaApi
) -> None:
    with GatedSink() as sink, AgentProcess(
        opt, api.address, to(sink, NEVER_STEADY, {"TAILRACE_END_WAIT_MS": "300"})
    ) as agent:  # fmt: skip
        sink.close_gate()
        for number in (1, 2, 3):
            invoke(api, number, f"line of {number}")
            sink.wait_for_record(f"line of {number}")
        assert sink.answered == 0
        sink.open_gate()
        invoke(api, 4, "line of 4")
        api.shutdown()
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
        assert (row["delivered"], row["dropped"], row["resentUnconfirmed"]) == (4, {}, 0)
    assert agent.messages() == []


def test_under_end_a_slow_reply_is_waited_for_up_to_the_cap(opt: Path, api: FakeLambdaApi) -> None:
    settings = {**FUNCTION_LINES, "TAILRACE_FLUSH": "end", "TAILRACE_END_WAIT_MS": "400"}
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, settings)) as agent:
        invoke(api, 1, "first")
        assert sink.answered == 1
        sink.close_gate()
        began_s = time.monotonic()
        invoke(api, 2, "second")
        assert time.monotonic() - began_s >= 0.4  # for the reply: adaptive calls Next without it, see above
        assert sink.answered == 1
        sink.open_gate()
        api.shutdown()
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
        assert (row["delivered"], row["dropped"]) == (2, {})


def test_while_a_reply_is_slow_the_next_lines_are_written_over_a_second_connection(
    opt: Path, api: FakeLambdaApi
) -> None:
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, NEVER_STEADY)) as agent:
        invoke(api, 1, "first")
        sink.close_gate()
        for number in (2, 3):
            invoke(api, number, f"line of {number}")
            sink.wait_for_record(f"line of {number}")
        assert (sink.answered, len(sink.connections)) == (1, 2)
        sink.open_gate()
        api.shutdown()
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
        assert (row["delivered"], row["dropped"], row["resentUnconfirmed"]) == (3, {}, 0)
    assert agent.messages() == []


def test_in_steady_traffic_next_is_called_before_anything_is_known_and_the_lines_follow(
    opt: Path, api: FakeLambdaApi
) -> None:
    steady = {**FUNCTION_LINES, "TAILRACE_STEADY_MS": "900000", "TAILRACE_STEADY_AFTER": "2"}
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, steady)) as agent:
        invoke(api, 1, "one")
        invoke(api, 2, "two")
        api.invoke("request-3", 60)
        api.wait_for_next(4)  # nothing was told of the third one yet
        api.post_telemetry(invocation("request-3", "three"))
        sink.wait_for_record("three")  # nobody flushed: its end sent it off
        api.shutdown()
        assert agent.exit_code() == 0
        assert sink.records() == ["one", "two", "three"]


@pytest.mark.parametrize("variable", ["TAILRACE_FLUSH", "DD_SERVERLESS_FLUSH_STRATEGY"])
def test_continuous_never_holds_the_environment(opt: Path, api: FakeLambdaApi, variable: str) -> None:
    settings = {**FUNCTION_LINES, variable: "continuously,10"}
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, settings)) as agent:
        for number in (1, 2):
            api.invoke(f"request-{number}", 60)
            api.wait_for_next(number + 1)
            api.post_telemetry([started(f"request-{number}"), line(f"line of {number}")])
            sink.wait_for_record(f"line of {number}")
        api.shutdown()
        assert agent.exit_code() == 0
    assert agent.messages() == []


def test_periodic_collects_until_its_interval_is_over(opt: Path, api: FakeLambdaApi) -> None:
    settings = {**FUNCTION_LINES, "TAILRACE_FLUSH": "periodic,900000"}
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, settings)) as agent:
        for number in range(1, 6):
            invoke(api, number, f"line of {number}")
        assert sink.bodies == []
        api.shutdown()
        assert agent.exit_code() == 0
        assert len(sink.bodies) == 1
        assert len(sink.records()) == 5


def test_a_strategy_that_is_not_understood_is_said_in_one_sentence(opt: Path, api: FakeLambdaApi) -> None:
    settings = {"DD_SERVERLESS_FLUSH_STRATEGY": "sometimes"}
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, settings)) as agent:
        invoke(api, 1)
        api.shutdown()
        assert agent.exit_code() == 0
        (said,) = agent.messages()
        assert said.startswith('DD_SERVERLESS_FLUSH_STRATEGY: unknown flush policy "sometimes"; allowed: adaptive, end')


def test_near_the_deadline_lines_leave_before_anybody_flushes(opt: Path, api: FakeLambdaApi) -> None:
    collecting = {**FUNCTION_LINES, "TAILRACE_FLUSH": "end,600000", "TAILRACE_MARGIN_MS": "1000"}
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, collecting)) as agent:
        api.wait_for_next()
        api.invoke("request-1", timeout_s=5.0)
        api.post_telemetry([started("request-1"), line("the last that was heard of it")])
        sink.wait_for_record("the last that was heard of it")
        arrived_s = time.monotonic()
        assert api.wait_for_next(2).at_s >= arrived_s  # it was not the flush before Next that sent it
        api.shutdown("timeout")
        assert agent.exit_code() == 0


def test_a_freeze_in_the_middle_of_a_request_sends_nothing_twice(opt: Path, api: FakeLambdaApi) -> None:
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, NEVER_STEADY)) as agent:
        invoke(api, 1, "first")
        sink.close_gate()
        invoke(api, 2, "second")
        sink.wait_for_record("second")
        os.kill(agent.pid, signal.SIGSTOP)
        sink.open_gate()
        sink.wait_until(lambda it: it.answered == 2)
        os.kill(agent.pid, signal.SIGCONT)
        invoke(api, 3, "third")
        api.shutdown()
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
        assert (row["delivered"], row["resentUnconfirmed"]) == (3, 0)
        assert sink.records() == ["first", "second", "third"]
    assert agent.messages() == []


def test_a_connection_that_was_cut_during_a_freeze_costs_no_failure(opt: Path, api: FakeLambdaApi) -> None:
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, NEVER_STEADY)) as agent:
        invoke(api, 1, "first")
        os.kill(agent.pid, signal.SIGSTOP)
        sink.reset_connections()
        os.kill(agent.pid, signal.SIGCONT)
        invoke(api, 2, "second")
        api.shutdown()
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
        assert (row["delivered"], row["held"]) == (2, 0)
        assert sink.records()[-1] == "second"
    assert agent.messages() == []


def test_a_reply_that_was_lost_with_its_connection_is_asked_for_again_and_counted(
    opt: Path, api: FakeLambdaApi
) -> None:
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, NEVER_STEADY)) as agent:
        invoke(api, 1, "first")
        sink.close_gate()
        invoke(api, 2, "second")
        sink.wait_for_record("second")
        os.kill(agent.pid, signal.SIGSTOP)
        for connection in sink.connections:
            connection.shutdown(2)
        os.kill(agent.pid, signal.SIGCONT)
        sink.wait_until(lambda it: len(it.bodies) == 3)
        sink.open_gate()
        invoke(api, 3, "third")
        api.shutdown()
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
        assert (row["delivered"], row["resentUnconfirmed"]) == (3, 1)
        assert sorted(sink.records()) == ["first", "second", "second", "third"]
    assert agent.messages() == []  # the first repeat is free: no failure was said


def test_a_record_that_the_server_finds_too_large_even_alone_arrives_cut(opt: Path, api: FakeLambdaApi) -> None:
    settings = {"TAILRACE_FLUSH": "end", **FUNCTION_LINES}
    strict = GatedSink(lambda body: 413 if len(body) > 20_000 else 200)
    with strict as sink, AgentProcess(opt, api.address, to(sink, settings)) as agent:
        invoke(api, 1, "before", "x" * 100_000, "after")
        api.shutdown()
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
        assert (row["delivered"], row["truncated"], row["rejected"]) == (3, 1, 0)
        (said,) = [line for line in agent.said() if "takenBytes" in line]
    taken = [b for b in sink.bodies if len(b) <= 20_000]
    assert b'"truncated":{"originalBytes":100' in b"".join(taken)
    assert said["takenBytes"] <= 20_000 < said["refusedBytes"] < 100_000 < said["recordBytes"]


def test_a_record_that_is_never_small_enough_is_whole_among_the_dead_letters(
    opt: Path, api: FakeLambdaApi, tmp_path: Path
) -> None:
    settings = {"TAILRACE_FLUSH": "end", **FUNCTION_LINES, "TAILRACE_DEAD_LETTER": f"file://{tmp_path}/dead"}
    strict = GatedSink(lambda body: 413 if len(body) > 300 else 200)
    with strict as sink, AgentProcess(opt, api.address, to(sink, settings)) as agent:
        invoke(api, 1, "before", "x" * 5000, "after")
        api.shutdown()
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
        assert (row["delivered"], row["deadLettered"], row["rejected"], row["held"]) == (2, 1, 0, 0)
        assert "truncated" not in row
    (file,) = (tmp_path / "dead").rglob("*.ndjson")
    envelope = json.loads(file.read_text())
    (record,) = map(json.loads, envelope["records"])
    assert (record["record"], envelope["reason"]) == ("x" * 5000, "too_large")


def test_a_line_that_the_platform_cut_arrives_whole(opt: Path, api: FakeLambdaApi) -> None:
    head = '{"time":"2026-01-02T03:04:05.678Z","type":"function","record":"'
    with GatedSink() as sink, AgentProcess(opt, api.address, to(sink, {"TAILRACE_FLUSH": "end"})) as agent:
        api.invoke("request-1", 60)
        api.post_telemetry([started("request-1")])
        assert api.post_telemetry(f"[{head}a very }}]".encode()) == 200
        assert api.post_telemetry(f'[{head}long line"}}]'.encode()) == 200
        api.post_telemetry([done("request-1")])
        api.wait_for_next(2)
        assert sink.records()[1] == "a very long line"
        assert api.post_telemetry(f"[{head}never to be continued}}]".encode()) == 200
        api.shutdown()
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
        assert (row["received"], row["delivered"], row["dropped"]) == (4, 3, {"unparsable": 1})
