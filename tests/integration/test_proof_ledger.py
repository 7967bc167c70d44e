"""The ledger in each of its forms, as the real agent gives it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.agent_process import AgentProcess, lines_in
from support.fake_lambda_api import FakeLambdaApi
from support.telemetry import done, event, line, started


def life(
    opt: Path, api: FakeLambdaApi, out: Path, forms: str, *events: dict[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What the agent said in one invocation, and its ledger's rows."""
    settings = {"TAILRACE_DESTINATIONS": f"file://{out}", "TAILRACE_LEDGER": forms}
    with AgentProcess(opt, api.address, settings) as agent:
        api.invoke("request-1", timeout_s=60)
        api.post_telemetry([started("request-1"), line("one"), line("two"), *events, done("request-1")])
        api.wait_for_next(2)
        api.shutdown()
        assert agent.exit_code() == 0
        return agent.said(), agent.ledger()


def test_the_ledger_is_delivered_as_the_last_record_where_that_is_asked_for(
    opt: Path, api: FakeLambdaApi, out: Path
) -> None:
    said, rows = life(opt, api, out, "record")

    (name,) = rows
    records = sorted(map(json.loads, lines_in(out)), key=lambda record: int(record["seq"]))
    assert records[-1]["type"] == "tailrace.ledger"
    # what it says is how things stood before it: itself it counts in the last line
    assert records[-1]["record"][name]["received"] == records[-1]["record"][name]["delivered"] == 4
    assert (rows[name]["received"], rows[name]["delivered"], rows[name]["held"]) == (5, 5, 0)
    assert [each["type"] for each in said] == ["tailrace.ledger"]


def test_the_ledger_is_exported_as_metrics_where_that_is_asked_for(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    said, rows = life(opt, api, out, "metrics")

    assert [each["type"] for each in said] == ["tailrace.metrics", "tailrace.ledger"]
    (name,) = rows
    assert said[0]["destination"] == name
    assert (said[0]["received"], said[0]["delivered"], said[0]["held"]) == (4, 4, 0)
    assert len(lines_in(out)) == 4


def test_what_the_platform_dropped_is_a_row_of_its_own_in_every_form(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    lost = event("platform.logsDropped", {"reason": "slow", "droppedRecords": 42, "droppedBytes": 9001})
    said, rows = life(opt, api, out, "metrics,record", lost)

    assert rows["platform"]["dropped"] == {"logs_dropped": 42}
    (metrics,) = [each for each in said if each.get("destination") == "platform"]
    assert metrics["droppedBecause"] == {"logs_dropped": 42}
    (record,) = [each for each in map(json.loads, lines_in(out)) if each["type"] == "tailrace.ledger"]
    assert record["record"]["platform"]["dropped"] == {"logs_dropped": 42}


@pytest.mark.parametrize("forms", ["", "yes"])
def test_nothing_but_the_last_line_is_told_otherwise(opt: Path, api: FakeLambdaApi, out: Path, forms: str) -> None:
    said, rows = life(opt, api, out, forms)

    expected = ["tailrace.log"] if forms else []
    assert [each["type"] for each in said] == [*expected, "tailrace.ledger"]
    assert all("TAILRACE_LEDGER: unknown form" in each["message"] for each in said[:-1])
    assert len(lines_in(out)) == 4
    assert rows
