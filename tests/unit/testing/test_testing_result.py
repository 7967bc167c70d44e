from __future__ import annotations

from dataclasses import replace

import pytest

from tailrace.emulator.function import Answer, Report
from tailrace.emulator.machine.effects import WriteLog
from tailrace.emulator.observer import InvocationResult
from tailrace.testing.result import FunctionError, make_result


def closed(
    payload: bytes, function_error: str = "", init_ms: float | None = None, *lines: WriteLog
) -> InvocationResult:
    report = Report("id-1", "success", "", 12.345, 61, 128, 40, init_ms)
    return InvocationResult(Answer("id-1", payload, function_error), report, lines)


def test_a_result_has_what_the_invoker_got_and_the_figures_of_the_report() -> None:
    lines = (WriteLog("function", "REPORT of my own", "id-1"), WriteLog("platform", "REPORT RequestId: id-1\t", "id-1"))
    result = make_result(closed(b'{"left": [1, null]}', "", 48.5, *lines))

    assert result.payload == {"left": [1, None]}
    assert result.raw_payload == b'{"left": [1, null]}'
    assert result.error is None
    assert (result.request_id, result.duration_ms, result.billed_duration_ms) == ("id-1", 12.345, 61)
    assert (result.init_duration_ms, result.max_memory_used_mb) == (48.5, 40)
    assert result.logs == ["REPORT of my own", "REPORT RequestId: id-1\t"]
    assert result.report_line == "REPORT RequestId: id-1\t"
    assert repr(result) == '<Result {"left": [1, null]}: 12.345 ms, cold start 48.5 ms, 40 MB, 2 log lines>'


def test_under_the_json_log_format_the_report_line_is_the_event() -> None:
    event = '{"time":"2026-01-02T03:04:05.678Z","type":"platform.report","record":{}}'

    assert make_result(closed(b"1", "", None, WriteLog("platform", event, "id-1"))).report_line == event


def test_a_failed_result_says_why_and_what_kept_the_environment_from_getting_ready() -> None:
    document = (
        b'{"errorMessage": "no kettle", "errorType": "SoldOut", "stackTrace": ["  File \\"app.py\\"\\n    raise\\n"]}'
    )
    result = make_result(closed(document, "Unhandled"), init_failure="init error, Extension.Crash")

    assert result.error == FunctionError("SoldOut", "no kettle", ('  File "app.py"\n    raise\n',))
    assert str(result.error) == "SoldOut: no kettle"
    assert repr(result.error) == '<FunctionError SoldOut: no kettle (File "app.py" raise)>'
    assert "failed, SoldOut: no kettle (init error, Extension.Crash)" in repr(result)


def test_an_init_that_failed_before_does_not_taint_a_success() -> None:
    assert make_result(closed(b"1"), init_failure="init timeout").init_failure == ""


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"oops \xff", FunctionError("", "oops \ufffd")),
        (b"null", FunctionError("", "None")),
        (
            b'{"errorType": "E", "errorMessage": "m", "trace": ["E: m", "at x"]}',
            FunctionError("E", "m", ("E: m", "at x")),
        ),
        (b'{"errorMessage": null, "stackTrace": "one"}', FunctionError("", "", ("one",))),
    ],
)
def test_whatever_document_a_runtime_posts_an_error_comes_of_it(payload: bytes, error: FunctionError) -> None:
    assert make_result(closed(payload, "Unhandled")).error == error


def test_a_long_payload_is_cut_in_the_text_but_not_in_the_value() -> None:
    result = make_result(closed(b'"' + b"x" * 1000 + b'"'))

    assert len(result.payload) == 1000
    assert len(repr(result)) < 200


def test_lines_that_are_not_kept_are_counted() -> None:
    lines = (WriteLog("function", "the last", "id-1"),)
    result = make_result(replace(closed(b"1", "", None, *lines), n_logs_left_out=41))

    assert (result.logs, result.logs_left_out) == (["the last"], 41)
    assert "42 log lines" in repr(result)
