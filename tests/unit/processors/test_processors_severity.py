"""What a record says of its own severity, format by format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.tables import LEVELS
from tailrace.processors.severity import RANKS, severity_of, severity_of_line

ID = "5b1d9f2e-3c4d-4e5f-8a9b-0c1d2e3f4a5b"
TIME = "2026-11-20T21:00:00.000Z"


@pytest.mark.parametrize(
    ("record", "level"),
    [
        # JSON lines: words
        ({"level": "INFO", "message": "x"}, "info"),
        ({"level": "warning"}, "warn"),
        ({"severity": "CRITICAL"}, "fatal"),
        ({"severityText": "Error"}, "error"),
        ({"severity_text": "DEBUG"}, "debug"),
        ({"levelname": "ERROR"}, "error"),
        ({"log.level": "warn"}, "warn"),
        ({"log": {"level": "error"}}, "error"),
        ({"log": {"level": 3}}, None),
        ({"level": " Fatal "}, "fatal"),
        ({"Level": "Information"}, "info"),
        ({"LogLevel": "Warning"}, "warn"),
        ({"log_level": "ERROR"}, "error"),
        ({"@l": "Error", "@m": "x"}, "error"),
        ({"@level": "warn", "@message": "x"}, "warn"),
        ({"level": "purple"}, None),
        ({"level": "purple", "severity": "info"}, "info"),
        ({"message": "ERROR"}, None),
        ({"level": True}, None),
        ({"level": None}, None),
        ({}, None),
        # JSON lines: numbers
        ({"level": 10}, "trace"),
        ({"level": 20}, "debug"),
        ({"level": 30}, "info"),
        ({"level": 35}, "info"),
        ({"level": 40}, "warn"),
        ({"level": 50}, "error"),
        ({"level": 60}, "fatal"),
        ({"level": 10**40}, "fatal"),
        ({"level": "40"}, "warn"),
        ({"level": 3}, None),
        ({"level": -30}, None),
        ({"severityNumber": 1}, "trace"),
        ({"severityNumber": 9}, "info"),
        ({"SeverityNumber": 13}, "warn"),
        ({"severity_number": 17}, "error"),
        ({"severityNumber": 24}, "fatal"),
        ({"severityNumber": 25}, None),
        ({"levelno": 10}, "debug"),
        ({"levelno": 30}, "warn"),
        ({"levelno": 50}, "fatal"),
        # JSON in a text
        ('{"level":"error","message":"x"}\n', "error"),
        ('{"level":30,"msg":"x"}', "info"),
        ('{"level":"error', None),
        ('{"level":"er', None),
        # the runtimes' own
        (f"[ERROR]\t{TIME}\t{ID}\tno stock\n", "error"),
        (f"[WARNING]\t{TIME}\t{ID}\tlow stock\n", "warn"),
        ("[ERROR] ValueError: no stock\nTraceback (most recent call last):\n", "error"),
        (f"{TIME}\t{ID}\tINFO\tsold\n", "info"),
        (f"{TIME}\tundefined\tERROR\tUncaught Exception\t{{}}", "error"),
        (f"{TIME}\t{ID}\tcrit\tout of it", "fatal"),
        (f"{TIME}\t{ID}\tfail\tout of it", "error"),
        (f"START RequestId: {ID} Version: $LATEST", "info"),
        (f"END RequestId: {ID}", "info"),
        (f"REPORT RequestId: {ID}\tDuration: 1 ms\tBilled Duration: 1 ms\tERROR", "info"),
        ("INIT_START Runtime Version: python:3.13", "info"),
        (f"{TIME} {ID} Task timed out after 3.00 seconds", "error"),
        (f"RequestId: {ID} Error: Runtime exited with error: exit status 1", "error"),
        ("Traceback (most recent call last):", "error"),
        # text
        (f"2026-11-20 21:00:00 {ID} INFO  Shop - sold", "info"),
        ("ERROR: no stock", "error"),
        ("I, [2026-11-20T21:00:00 #8]  WARN -- : low stock", "warn"),
        ("level=error msg=x", "error"),
        ('time=x level="warn" msg=x', "warn"),
        ("level=purple", None),
        ("an error occurred", None),
        ("NO ERRORS", None),
        ("a b c d e f ERROR", None),
        ("sold one kettle", None),
        ("", None),
        ("[", None),
        ("\t\t\t", None),
        (None, None),
        (7, None),
        ([1], None),
    ],
)
def test_what_a_line_says(record: object, level: str | None) -> None:
    assert severity_of_line(record) == level
    assert severity_of({"type": "function", "record": record}) == level


@pytest.mark.parametrize(
    ("kind", "record", "level"),
    [
        ("platform.start", {"requestId": "a"}, "info"),
        ("platform.report", {"status": "success"}, "info"),
        ("platform.report", {"status": "timeout"}, "error"),
        ("platform.runtimeDone", {"status": "failure"}, "error"),
        ("platform.logsDropped", {}, "warn"),
        ("platform.fault", "RequestId: x", "error"),
        ("platform.report", None, "info"),
    ],
)
def test_what_the_platform_says(kind: str, record: object, level: str) -> None:
    assert severity_of({"type": kind, "record": record}) == level


@pytest.mark.parametrize("event", [None, 7, "x", [], {}, {"type": 3, "record": []}])
def test_odd_events_say_nothing(event: object) -> None:
    assert severity_of(event) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(["level", "log"]), inner),
    max_leaves=8,
)


@given(json_values)
def test_nothing_that_can_be_logged_breaks_it(record: object) -> None:
    assert severity_of_line(record) in (None, *LEVELS)


def test_levels_are_ordered() -> None:
    assert sorted(LEVELS, key=RANKS.__getitem__) == list(LEVELS)
