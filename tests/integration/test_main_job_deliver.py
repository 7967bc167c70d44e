"""The main job: a function runs, and all its telemetry lands at its destination before the environment is frozen."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.commands import account, lines_of, run_json, variables, write_function
from support.moto_s3 import MotoS3, start_moto_s3

FUNCTION = """
import json
def handler(event, context):
    print("hello", event.get("n"))
    print(json.dumps({"level": "INFO", "message": "structured"}))
    return {"requestId": context.aws_request_id}
"""

# An invocation that looks at the folder in which the one before it was delivered.
WITNESS = """
import os, pathlib
calls = 0
def handler(event, context):
    global calls
    calls += 1
    print(f"line of call {calls}")
    files = pathlib.Path(os.environ["WATCHED"]).rglob("*.ndjson")
    return sorted(line for file in files for line in file.read_text().splitlines() if '"line of call ' in line)
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[MotoS3]:
    with start_moto_s3() as server:
        yield server


def records_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.rglob("*.ndjson")) for line in file.read_text().splitlines()]


def test_function_lines_and_platform_events_land_in_a_folder(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    settings = variables({"TAILRACE_DESTINATIONS": f"file://{tmp_path}/out"})

    document = run_json("app.handler", "--code", code, "--extension", "tailrace", "--invocations", "2", *settings)

    records = records_in(tmp_path / "out")
    assert lines_of(records, "function") == ["hello None", '{"level": "INFO", "message": "structured"}'] * 2
    types = [record["type"] for record in records if record["type"].startswith("platform.")]
    assert types.count("platform.start") == types.count("platform.runtimeDone") == types.count("platform.report") == 2
    (row,) = (row for row in document["ledger"].values() if isinstance(row, dict))
    assert row["received"] == row["delivered"] == account(row) == len(records)


def test_each_line_is_attributed_to_its_request(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", "print('init')\n" + FUNCTION)
    settings = variables({"TAILRACE_DESTINATIONS": f"file://{tmp_path}/out"})

    document = run_json("app.handler", "--code", code, "--extension", "tailrace", "--invocations", "3", *settings)

    records = records_in(tmp_path / "out")
    owners = [record["requestId"] for record in records if record["type"] == "function"]
    ids = [invocation["requestId"] for invocation in document["invocations"]]
    assert owners == [None] + [request_id for request_id in ids for _ in range(2)]
    assert {record["functionName"] for record in records} == {"shop"}
    assert sorted(record["seq"] for record in records) == list(range(1, len(records) + 1))


def test_last_lines_are_delivered_before_the_freeze_not_one_invocation_later(tmp_path: Path) -> None:
    code = write_function(tmp_path / "witness", WITNESS)
    out = tmp_path / "out"
    settings = variables({"TAILRACE_DESTINATIONS": f"file://{out}", "WATCHED": str(out)})

    document = run_json("app.handler", "--code", code, "--extension", "tailrace", "--invocations", "4", *settings)

    seen = [len(invocation["response"]) for invocation in document["invocations"]]
    assert seen == [0, 1, 2, 3]


def test_the_s3_logs_demo_with_its_own_variable(tmp_path: Path, s3: MotoS3) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    s3.client.create_bucket(Bucket="logs-demo")
    settings = variables({"S3_BUCKET_NAME": "logs-demo", **s3.environ()})

    document = run_json("app.handler", "--code", code, "--extension", "tailrace", "--invocations", "2", *settings)

    keys = [item["Key"] for item in s3.client.list_objects_v2(Bucket="logs-demo")["Contents"]]
    bodies = [s3.client.get_object(Bucket="logs-demo", Key=key)["Body"].read() for key in keys]
    records = [json.loads(line) for body in bodies for line in body.splitlines()]
    assert len(lines_of(records, "function")) == 4
    assert len(lines_of(records, "platform.report")) == 2
    assert all(key.startswith("functionName=shop/year=") for key in keys)
    assert document["ledger"]["s3://logs-demo"]["delivered"] == len(records)


def test_two_destinations_get_the_same_records_one_of_them_compressed(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    destinations = f"file://{tmp_path}/plain file://{tmp_path}/packed?compress=gzip"

    run_json(
        "app.handler", "--code", code, "--extension", "tailrace", *variables({"TAILRACE_DESTINATIONS": destinations})
    )

    packed = [gzip.decompress(file.read_bytes()) for file in sorted((tmp_path / "packed").rglob("*.ndjson.gz"))]
    assert [json.loads(line) for body in packed for line in body.splitlines()] == records_in(tmp_path / "plain")


def test_wrong_credentials_lose_nothing_silently_and_do_not_harm_the_function(tmp_path: Path, s3: MotoS3) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    s3.client.create_bucket(Bucket="guarded")
    wrong = {**s3.environ(), "AWS_SECRET_ACCESS_KEY": "wrong"}
    settings = variables({"TAILRACE_DESTINATIONS": "s3://guarded", **wrong})

    document = run_json("app.handler", "--code", code, "--extension", "tailrace", "--invocations", "2", *settings)

    row = document["ledger"]["s3://guarded"]
    assert row["delivered"] == 0
    assert row["received"] == account(row) == sum(row["dropped"].values()) > 0
    assert "wrong" not in json.dumps(document["ledger"])


def test_a_dead_destination_costs_a_bounded_time_once_and_then_nothing(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    settings = variables({"TAILRACE_DESTINATIONS": "http://127.0.0.1:9/nobody", "TAILRACE_END_WAIT_MS": "300"})

    document = run_json("app.handler", "--code", code, "--extension", "tailrace", "--invocations", "5", *settings)

    reports = [
        entry["event"]["record"] for entry in document["telemetry"] if entry["event"]["type"] == "platform.report"
    ]
    overheads = [
        span["durationMs"] for report in reports for span in report["spans"] if span["name"] == "extensionOverhead"
    ]
    assert len(overheads) == 5
    assert all(invocation["status"] == "success" for invocation in document["invocations"])
    (row,) = (row for row in document["ledger"].values() if isinstance(row, dict))
    assert row["received"] == account(row)
    assert row["delivered"] == 0


def test_nothing_configured_is_said_once_and_every_record_is_counted(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)

    document = run_json("app.handler", "--code", code, "--extension", "tailrace")

    row = document["ledger"]["none"]
    assert row["dropped"] == {"no_destination": row["received"]}
    assert row["received"] > 0


def test_a_burst_of_lines_is_delivered_whole(tmp_path: Path) -> None:
    source = "def handler(event, context):\n    for n in range(60_000):\n        print(n, 'x' * 200)\n"
    code = write_function(tmp_path / "shop", source)
    settings = variables({"TAILRACE_DESTINATIONS": f"file://{tmp_path}/out"})

    document = run_json("app.handler", "--code", code, "--timeout", "60", "--extension", "tailrace", *settings)

    written = [record.split()[0] for record in lines_of(records_in(tmp_path / "out"), "function")]
    assert sorted(map(int, written)) == list(range(60_000))
    (row,) = (row for row in document["ledger"].values() if isinstance(row, dict))
    assert row["received"] == row["delivered"]
