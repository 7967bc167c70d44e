"""Telemetry events and the lines of a log stream: built, checked, projected to older schemas, written and read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.protocol import platform_events as kinds
from tailrace.protocol import report
from tailrace.protocol.events import split_events
from tailrace.protocol.jsontext import dumps, loads
from tailrace.protocol.telemetry_api import SCHEMA_VERSIONS

TIME = "2026-01-02T03:04:05.678Z"
TRACE = kinds.tracing("Root=1-65a1b2c3-0123456789abcdef01234567;Sampled=1", "54565fb41ac79632")
SPAN = kinds.span("responseLatency", TIME, 104.9)
RECORDS: dict[str, Any] = {
    kinds.INIT_START: kinds.init_start(
        "init", "billing", "$LATEST", "python:3.13.v12", "arn:x", "2026/01/02/[1]a", 256
    ),
    kinds.INIT_RUNTIME_DONE: kinds.init_runtime_done("init", "error", "Runtime.ExitError"),
    kinds.INIT_REPORT: kinds.init_report("invoke", "success", 315.72),
    kinds.START: kinds.start("id", "$LATEST", TRACE, "tenant"),
    kinds.RUNTIME_DONE: kinds.runtime_done("id", "success", 108.402, 57, "", [SPAN], TRACE),
    kinds.REPORT: kinds.report("id", "error", 120.11, 121, 256, 71, 315.72, "Runtime.ExitError", [SPAN], TRACE),
    kinds.RESTORE_START: {
        "runtimeVersion": "python:3.13.v12",
        "runtimeVersionArn": "arn:x",
        "functionName": "billing",
        "functionVersion": "3",
        "instanceId": "i",
        "instanceMaxMemory": 512,
    },
    kinds.RESTORE_RUNTIME_DONE: {"status": "success"},
    kinds.RESTORE_REPORT: {"status": "success", "metrics": {"durationMs": 211.9}},
    kinds.EXTENSION_STATE: kinds.extension_state("shipper", "Ready", ("INVOKE", "SHUTDOWN")),
    kinds.TELEMETRY_SUBSCRIPTION: kinds.subscription("shipper", ("platform", "function")),
    kinds.LOGS_SUBSCRIPTION: kinds.subscription("shipper", ("function",)),
    kinds.LOGS_DROPPED: kinds.logs_dropped(kinds.SLOW_CONSUMER, 0, 9001),
    kinds.FAULT: "RequestId: id Error: Runtime exited with error: exit status 1\nRuntime.ExitError",
    kinds.END: {"requestId": "id"},
    kinds.FUNCTION: "[INFO]\thello\n",
    kinds.EXTENSION: {"level": "INFO", "message": "x"},
}


def test_every_known_type_is_tried() -> None:
    assert set(RECORDS) == set(kinds.EVENT_TYPES)


@pytest.mark.parametrize("type_", RECORDS)
def test_every_type_survives_the_wire_and_keeps_its_contract(type_: str) -> None:
    event = kinds.event(TIME, type_, RECORDS[type_])
    assert kinds.problems_of(event) == []
    text = dumps(event)
    assert loads(text) == event
    [read] = split_events(f"[{text}]".encode()).events
    assert (read.raw, read.value, read.time, read.type) == (text, event, TIME, type_)
    assert "null" not in text


@pytest.mark.parametrize("type_", RECORDS)
@pytest.mark.parametrize("version", SCHEMA_VERSIONS)
def test_every_type_in_every_schema_keeps_that_ones_contract(type_: str, version: str) -> None:
    record = kinds.as_version(type_, RECORDS[type_], version)
    assert kinds.problems_of(kinds.event(TIME, type_, record), version) == []


def test_what_older_schemas_do_not_have() -> None:
    oldest = kinds.as_version(kinds.INIT_START, RECORDS[kinds.INIT_START], "2022-07-01")
    assert isinstance(oldest, dict)
    assert set(oldest) == {"initializationType", "phase", "runtimeVersion", "runtimeVersionArn"}
    middle = kinds.as_version(kinds.INIT_REPORT, RECORDS[kinds.INIT_REPORT], "2022-12-13")
    assert isinstance(middle, dict)
    assert "status" not in middle
    assert not kinds.exists_in(kinds.RESTORE_REPORT, "2022-07-01")
    assert kinds.exists_in(kinds.RESTORE_REPORT, "2022-12-13")
    assert kinds.exists_in("platform.tomorrow", "2022-07-01")


@pytest.mark.parametrize("record", [None, 5, [], {"x": None}, "text"])
def test_unknown_events_and_members_pass_whole(record: object) -> None:
    assert kinds.as_version("platform.tomorrow", record, "2022-07-01") == record
    assert kinds.problems_of(kinds.event(TIME, "platform.tomorrow", record)) == []
    assert kinds.as_version(kinds.START, {"requestId": "r", "new": record}, "2022-07-01") == {
        "requestId": "r",
        "new": record,
    }


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (5, "not an object"),
        ({"type": "function"}, "time is not a text"),
        (kinds.event(TIME, kinds.START, "text"), "record is not an object"),
        (kinds.event(TIME, kinds.START, {}), "record.requestId is missing"),
        (kinds.event(TIME, kinds.LOGS_DROPPED, kinds.logs_dropped("r", 1, 1) | {"droppedBytes": 1.0}), "integer"),
        (
            kinds.event(TIME, kinds.REPORT, {"requestId": "r", "status": "s", "metrics": {"memorySizeMB": 1.0}}),
            "memory",
        ),
        (kinds.event(TIME, kinds.RUNTIME_DONE, {"requestId": "r", "status": "s", "spans": None}), "spans"),
        (kinds.event(TIME, kinds.EXTENSION_STATE, {"name": "n", "state": "s", "events": [1]}), "events"),
        (kinds.event(TIME, kinds.START, {"requestId": "r", "tracing": "x"}), "tracing"),
    ],
)
def test_broken_contracts_are_named(event: object, problem: str) -> None:
    assert any(problem in found for found in kinds.problems_of(event))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_any_value_can_be_judged(value: object) -> None:
    kinds.problems_of(value)
    for type_ in kinds.EVENT_TYPES:
        kinds.problems_of({"time": TIME, "type": type_, "record": value})


def test_durations_have_three_decimals_cut() -> None:
    assert kinds.milliseconds(1_234_567_999) == 1234.567
    assert kinds.milliseconds(-5) == 0.0


# ---- lines


def test_lines_are_exact() -> None:
    assert report.start_line("ID", "$LATEST") == "START RequestId: ID Version: $LATEST"
    assert report.end_line("ID") == "END RequestId: ID"
    assert report.report_line("ID", 3.0123, 4, 128, 36) == (
        "REPORT RequestId: ID\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t"
    )
    assert report.report_line("ID", 3, 4, 128, 36, 110.1).endswith(
        "\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t"
    )
    assert report.report_line("ID", 3, 4, 128, 36, 1.0, "error", "Runtime.ExitError").endswith(
        "\tInit Duration: 1.00 ms\tStatus: error\tError Type: Runtime.ExitError"
    )
    assert report.report_line("ID", 3, 4, 128, 36, None, "timeout").endswith("36 MB\tStatus: timeout")
    assert report.init_report_line(10009.13, "init", "timeout") == (
        "INIT_REPORT Init Duration: 10009.13 ms\tPhase: init\tStatus: timeout"
    )
    assert report.init_report_line(13316.04, "init") == "INIT_REPORT Init Duration: 13316.04 ms"
    assert report.extension_line("shipper", "Ready", ("INVOKE", "SHUTDOWN")) == (
        "EXTENSION\tName: shipper\tState: Ready\tEvents: [INVOKE, SHUTDOWN]"
    )
    assert report.extension_line("x", "LaunchError", (), "PermissionDenied") == (
        "EXTENSION\tName: x\tState: LaunchError\tEvents: []\tError Type: PermissionDenied"
    )
    assert report.telemetry_line("shipper", ("platform", "function", "extension")) == (
        "TELEMETRY\tName: shipper\tState: Subscribed\tTypes: [Platform, Function, Extension]"
    )
    assert report.logs_line("shipper", ("platform",)) == "LOGS\tName: shipper\tState: Subscribed\tTypes: [Platform]"
    assert report.init_start_line("python:3.13.v12", "arn:x") == (
        "INIT_START Runtime Version: python:3.13.v12\tRuntime Version ARN: arn:x"
    )
    assert report.xray_line("1-65a1b2c3-01", "54565fb41ac79632", sampled=True) == (
        "XRAY TraceId: 1-65a1b2c3-01\tSegmentId: 54565fb41ac79632\tSampled: true\t"
    )


@pytest.mark.parametrize(
    ("line", "kind", "fields"),
    [
        (report.start_line("ID", "7"), "START", {"RequestId": "ID", "Version": "7"}),
        (report.end_line("ID") + "\n", "END", {"RequestId": "ID"}),
        (
            report.report_line("ID", 3.01, 4, 128, 36, 110.1, "error", "A.B"),
            "REPORT",
            {
                "RequestId": "ID",
                "Duration": "3.01 ms",
                "Billed Duration": "4 ms",
                "Memory Size": "128 MB",
                "Max Memory Used": "36 MB",
                "Init Duration": "110.10 ms",
                "Status": "error",
                "Error Type": "A.B",
            },
        ),
        (
            report.init_report_line(1, "init", "timeout"),
            "INIT_REPORT",
            {"Init Duration": "1.00 ms", "Phase": "init", "Status": "timeout"},
        ),
        (
            report.extension_line("x", "Ready", ("INVOKE",)),
            "EXTENSION",
            {"Name": "x", "State": "Ready", "Events": "[INVOKE]"},
        ),
        (
            report.telemetry_line("x", ("platform",)),
            "TELEMETRY",
            {"Name": "x", "State": "Subscribed", "Types": "[Platform]"},
        ),
        (
            report.init_start_line("python:3.13.v12", "arn:aws:lambda:eu-west-1::runtime:0a"),
            "INIT_START",
            {"Runtime Version": "python:3.13.v12", "Runtime Version ARN": "arn:aws:lambda:eu-west-1::runtime:0a"},
        ),
        (
            report.xray_line("1-6", "5", sampled=False),
            "XRAY",
            {"TraceId": "1-6", "SegmentId": "5", "Sampled": "false"},
        ),
    ],
)
def test_lines_are_read_as_they_were_written(line: str, kind: str, fields: dict[str, str]) -> None:
    read = report.parse_line(line)
    assert read is not None
    assert (read.kind, read.fields) == (kind, fields)


def test_cells_are_read_as_figures_and_lists() -> None:
    read = report.parse_line(report.report_line("ID", 3.01, 4, 128, 36))
    assert read is not None
    assert (read.number("Duration"), read.number("Memory Size"), read.number("Nothing")) == (3.01, 128.0, None)
    listed = report.parse_line("EXTENSION\tName: x\tState: Ready\tEvents: [INVOKE,SHUTDOWN]")
    assert listed is not None
    assert listed.names("Events") == ("INVOKE", "SHUTDOWN")


@pytest.mark.parametrize(
    "line", ["", "hello", "START", "STARTED RequestId: 1", "REPORT something else", "END of story"]
)
def test_other_lines_are_not_platform_lines(line: str) -> None:
    assert report.parse_line(line) is None


@given(st.text())
def test_any_text_can_be_tried(text: str) -> None:
    report.parse_line(text)
    report.parse_line(f"REPORT {text}")


def test_an_example_of_the_reference_reads_as_one_event() -> None:
    text = (
        '{"time":"2026-01-02T03:04:05.452Z","type":"platform.report","record":{"requestId":"5b1d","status":"success",'
        '"metrics":{"durationMs":120.11,"billedDurationMs":121,"memorySizeMB":256,"maxMemoryUsedMB":71,'
        '"initDurationMs":315.72},"spans":[{"name":"extensionOverhead","start":"2026-01-02T03:04:05.440Z",'
        '"durationMs":11.4}]}}'
    )
    assert kinds.problems_of(json.loads(text)) == []
