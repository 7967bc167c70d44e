"""The real agent at work: what lands at the destination, when Next is called, what the ledger says."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from support.agent_process import AgentProcess
from support.fake_lambda_api import FakeLambdaApi
from support.telemetry import done, event, invocation, line, report, started


def delivered(out: Path) -> list[dict[str, Any]]:
    """Every line that lies in the folder, in order of arrival at the agent."""
    lines = [json.loads(text) for file in out.rglob("*.ndjson") for text in file.read_text().splitlines()]
    return sorted(lines, key=lambda line: int(line["seq"]))


def to_folder(out: Path, **more: str) -> dict[str, str]:
    return {"TAILRACE_DESTINATIONS": f"file://{out}", **more}


def test_the_first_invocations_lines_lie_in_the_folder_before_next_is_called(
    opt: Path, api: FakeLambdaApi, out: Path
) -> None:
    with AgentProcess(opt, api.address, to_folder(out)):
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1", "first line", {"level": "INFO", "message": "second"}))
        api.wait_for_next(2)
        lines = delivered(out)
    assert [line["type"] for line in lines] == ["platform.start", "function", "function", "platform.runtimeDone"]
    assert lines[1] == {
        "time": "2026-01-02T03:04:05.678Z",
        "type": "function",
        "record": "first line",
        "requestId": "request-1",
        "functionName": "billing",
        "seq": 2,
    }
    assert {line["requestId"] for line in lines} == {"request-1"}


def test_next_is_not_called_before_the_invocation_is_done(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    with AgentProcess(opt, api.address, to_folder(out)):
        api.invoke("request-1", timeout_s=60)
        api.post_telemetry([started("request-1"), line("still running")])
        # runtimeDone of another request ends nothing
        api.post_telemetry([done("request-0")])
        assert api.lines().count("GET /2020-01-01/extension/event/next") == 1
        api.post_telemetry([done("request-1")])
        api.wait_for_next(2)
        assert len(delivered(out)) == 4


def test_an_invocation_without_end_gives_way_to_next_before_its_deadline(
    opt: Path, api: FakeLambdaApi, out: Path
) -> None:
    with AgentProcess(opt, api.address, to_folder(out, TAILRACE_MARGIN_MS="2000")):
        api.wait_for_next()
        deadline_s = time.monotonic() + 3
        api.invoke("request-1", timeout_s=3)
        api.post_telemetry([started("request-1"), line("lost in thought")])
        # Meant for a second from now: the margin is long, so that a busy machine does not decide.
        assert api.wait_for_next(2).at_s < deadline_s
        api.invoke("request-2")
        api.post_telemetry(invocation("request-2"))
        api.wait_for_next(3)
        assert "lost in thought" in [line["record"] for line in delivered(out)]


def test_telemetry_of_the_first_invocation_that_comes_before_the_event_counts(
    opt: Path, api: FakeLambdaApi, out: Path
) -> None:
    with AgentProcess(opt, api.address, to_folder(out)):
        api.post_telemetry([event("platform.initStart", {"phase": "init"}), *invocation("request-1", "early")])
        api.invoke("request-1", timeout_s=60)
        api.wait_for_next(2)
        lines = delivered(out)
    assert lines[0]["requestId"] is None
    assert lines[2]["record"] == "early"


def test_what_comes_after_next_is_delivered_at_shutdown_and_the_ledger_is_the_last_line(
    opt: Path, api: FakeLambdaApi, out: Path
) -> None:
    with AgentProcess(opt, api.address, to_folder(out)) as agent:
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1", "hello"))
        api.wait_for_next(2)
        api.post_telemetry([line("in the background"), report("request-1")])
        api.shutdown()
        assert agent.exit_code() == 0
        assert delivered(out)[-1]["type"] == "platform.report"
        rows = agent.ledger()
        age_ms = rows[f"file://{out}"].pop("ageMs")
        assert 0 < age_ms["p50"] <= age_ms["p95"] <= age_ms["max"]
        assert rows == {
            f"file://{out}": {
                "received": 5,
                "delivered": 5,
                "held": 0,
                "filtered": 0,
                "sampled": 0,
                "rejected": 0,
                "dropped": {},
                "deadLettered": 0,
                "resentUnconfirmed": 0,
            }
        }
        assert len(agent.said()) == 1


def test_at_shutdown_the_last_report_is_waited_for_a_little(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    with AgentProcess(opt, api.address, to_folder(out)) as agent:
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1"))
        api.wait_for_next(2)
        late = threading.Thread(target=api.post_telemetry, args=([report("request-1")],))
        api.shutdown()
        late.start()
        assert agent.exit_code() == 0
        late.join()
        assert delivered(out)[-1]["type"] == "platform.report"


def test_an_environment_without_any_invocation_delivers_its_init(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    with AgentProcess(opt, api.address, to_folder(out)) as agent:
        api.wait_for_next()
        api.post_telemetry([event("platform.initStart", {"phase": "init"})])
        api.shutdown()
        assert agent.exit_code() == 0
        assert [line["type"] for line in delivered(out)] == ["platform.initStart"]


def test_many_invocations_lose_nothing_and_number_every_record_once(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    with AgentProcess(opt, api.address, {**to_folder(out), "TAILRACE_FLUSH": "end"}) as agent:
        for number in range(1, 21):
            api.invoke(f"request-{number}")
            api.post_telemetry(invocation(f"request-{number}", *(f"{number}/{n}" for n in range(30))))
            api.wait_for_next(number + 1)
            assert len(delivered(out)) == number * 32
        api.shutdown()
        assert agent.exit_code() == 0
        lines = delivered(out)
        assert [line["seq"] for line in lines] == list(range(1, 641))
        assert all(line["requestId"] == f"request-{(line['seq'] - 1) // 32 + 1}" for line in lines)


def test_only_the_wanted_types_are_delivered_and_the_others_counted_as_filtered(
    opt: Path, api: FakeLambdaApi, out: Path
) -> None:
    with AgentProcess(opt, api.address, to_folder(out, TAILRACE_TYPES="function")) as agent:
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1", "hello"))
        api.wait_for_next(2)
        api.shutdown()
        assert agent.exit_code() == 0
        assert [line["record"] for line in delivered(out)] == ["hello"]
        (row,) = agent.ledger().values()
        assert (row["received"], row["delivered"], row["filtered"]) == (3, 1, 2)


def test_its_own_lines_are_never_shipped_back(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    settings = to_folder(out, TAILRACE_TYPES="platform function extension", TAILRACE_END_WAIT_MS="soon")
    with AgentProcess(opt, api.address, settings) as agent:
        api.wait_for_next()
        agent.wait_for_line("TAILRACE_END_WAIT_MS")
        own = [event("extension", text) for text in agent.output.decode().splitlines(keepends=True)]
        own += [event("extension", object_) for object_ in agent.said()]
        assert len(own) == 2
        api.invoke("request-1")
        api.post_telemetry([*own, event("extension", "another extension's line"), *invocation("request-1")])
        api.wait_for_next(2)
        assert [line["record"] for line in delivered(out) if line["type"] == "extension"] == [
            "another extension's line"
        ]


def test_odd_telemetry_is_answered_200_and_costs_its_neighbours_nothing(
    opt: Path, api: FakeLambdaApi, out: Path
) -> None:
    with AgentProcess(opt, api.address, to_folder(out)) as agent:
        api.invoke("request-1")
        deep = "[" * 400 + "]" * 400  # twice as deep as is decoded
        odd = f'[null,7,"text",[],{{"type":"function","record":{deep}}},{json.dumps(line("after"))}'
        assert api.post_telemetry(odd.encode()) == 200
        assert api.post_telemetry(b"\xff\xfe not JSON") == 200
        api.post_telemetry(invocation("request-1"))
        api.wait_for_next(2)
        api.shutdown()
        assert agent.exit_code() == 0
        lines = delivered(out)
        assert [line.get("record") for line in lines][:4] == [None, 7, "text", []]
        assert lines[5]["record"] == "after"
        (row,) = agent.ledger().values()
        assert row["received"] == row["delivered"] + sum(row["dropped"].values())
        assert set(row["dropped"]) == {"unparsable"}


def test_two_destinations_both_get_everything(opt: Path, api: FakeLambdaApi, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    settings = {"TAILRACE_DESTINATIONS": f"file://{one} file://{two}"}
    with AgentProcess(opt, api.address, settings):
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1", "hello"))
        api.wait_for_next(2)
        assert delivered(one) == delivered(two)
        assert len(delivered(one)) == 3


def test_lines_of_a_long_invocation_leave_before_its_end(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    with AgentProcess(opt, api.address, to_folder(out)) as agent:
        api.invoke("request-1", timeout_s=60)
        api.post_telemetry([started("request-1"), line("early")])
        api.wait_until(lambda: len(delivered(out)) == 2, "the first lines in the folder", poll_s=0.01)
        agent.kill()
    assert [line["type"] for line in delivered(out)] == ["platform.start", "function"]


def test_a_polite_signal_delivers_what_is_held_and_writes_the_ledger(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    with AgentProcess(opt, api.address, to_folder(out)) as agent:
        api.invoke("request-1", timeout_s=60)
        api.post_telemetry([started("request-1"), line("in the middle")])
        os.kill(agent.pid, signal.SIGTERM)
        assert agent.exit_code() == 128 + signal.SIGTERM
        (row,) = agent.ledger().values()
        assert row["delivered"] == 2
    assert len(delivered(out)) == 2


def test_a_polite_signal_before_anything_else_ends_it_too(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    with AgentProcess(opt, api.address, to_folder(out)) as agent:
        api.wait_for_next()
        os.kill(agent.pid, signal.SIGTERM)
        assert agent.exit_code() == 128 + signal.SIGTERM
