"""The waterfall, the ledger's table and the JSON document, from a run made by hand."""

from __future__ import annotations

import json

import pytest

from tailrace.cli.accounts import dropped_total, ledger_table, subscriber_lines
from tailrace.cli.figures import bar, duration, shortened, size
from tailrace.cli.story import FrozenPart, InitPart, InvokePart, ShutdownPart, Story
from tailrace.cli.waterfall import waterfall
from tailrace.emulator.function import Answer, Report
from tailrace.emulator.telemetry.log import TelemetryCounts


def invocation(
    payload: bytes, function_error: str = "", status: str = "success", init_ms: float | None = None
) -> InvokePart:
    answer = Answer("id-1", payload, function_error)
    report = Report("id-1", status, "", 12.34, 13, 128, 41, init_ms)
    return InvokePart(answer, report, ("START", "END"))


STORY = Story(
    [
        InitPart("init", "success", "", 92.0, {"ext:tailrace": 11.0, "runtime": 88.0}),
        invocation(b'{"left": 3}', init_ms=92.0),
        FrozenPart(1000.0),
        invocation(b'{"errorType": "SoldOutError", "errorMessage": "no cup left"}', "Unhandled"),
        ShutdownPart("spindown", 2.0),
    ]
)


def test_plain_waterfall_has_every_fact_and_no_picture() -> None:
    rows = [row.plain for row in waterfall(STORY, pictures=False)]

    assert rows == [
        "  init        92 ms   tailrace ready 11 ms   runtime ready 88 ms",
        '  invoke 1    12 ms   cold · billed 13 ms · 41 MB   {"left": 3}',
        "            frozen 1.0 s",
        "  invoke 2    12 ms   failed · billed 13 ms · 41 MB   SoldOutError: no cup left",
        "  shutdown     2 ms   spindown",
    ]


def test_waterfall_with_pictures_is_to_one_scale() -> None:
    rows = [row.plain for row in waterfall(STORY, pictures=True)]

    assert rows[0].count("█") == 28
    assert rows[1].count("█") == 3
    assert "❄ frozen" in rows[2]


def test_failed_init_names_its_error() -> None:
    story = Story([InitPart("invoke", "error", "Runtime.ExitError", 5.0, {})])

    (row,) = waterfall(story, pictures=False)

    assert "error Runtime.ExitError" in row.plain


def test_ledger_table_shows_reasons_and_hides_columns_of_zeros() -> None:
    row = {"received": 5, "delivered": 2, "held": 0, "filtered": 0, "rejected": 0, "dropped": {"shutdown": 3}}

    lines = [line.plain for line in ledger_table({"type": "tailrace.ledger", "s3://logs": row})]

    assert lines == [
        "    destination    received   delivered        held     dropped",
        "    s3://logs             5           2           0           3",
        "    dropped by s3://logs: 3 shutdown",
    ]
    assert dropped_total(row) == 3


def test_ledger_table_tells_how_old_lines_were_and_what_came_to_no_destination() -> None:
    row = {"received": 5, "delivered": 5, "held": 0, "dropped": {}, "ageMs": {"p50": 26, "p95": 40, "max": 1042}}
    silent = {"received": 0, "delivered": 0, "held": 0, "dropped": {}}
    refused = {"received": 4, "rejected": 4, "dropped": {}}
    platform = {"received": 12, "dropped": {"logs_dropped": 12}}
    ledger = {"type": "tailrace.ledger", "s3://logs": row, "stdout:": silent, "refused": refused, "platform": platform}

    lines = [line.plain for line in ledger_table(ledger)]

    assert lines == [
        "    destination    received   delivered        held     dropped   usual age      oldest",
        "    s3://logs             5           5           0           0       26 ms       1.0 s",
        "    stdout:               0           0           0           0           -           -",
        "    4 posts of the platform were refused for want of room: it sends them again",
        "    the platform lost 12 records before they came to the agent",
    ]


def test_subscribers_are_counted_with_what_they_acknowledged() -> None:
    counts = TelemetryCounts()
    counts.given.update({"a": 2, None: 1})
    counts.acknowledged["a"] = 1

    assert list(subscriber_lines(counts)) == [
        "a: 2 telemetry events, 1 acknowledged",
        "nobody subscribed to 1 telemetry events",
    ]


def test_status_and_document_of_an_invocation() -> None:
    assert invocation(b"not json").document == "not json"
    assert invocation(b"{}", "Unhandled", status="timeout").status == "timeout"
    assert json.dumps(invocation(b"[1]").document) == "[1]"


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0.4, "0 ms"), (92, "92 ms"), (999.6, "1.0 s"), (1400, "1.4 s"), (12000, "12 s")]
)
def test_durations_for_people(milliseconds: float, text: str) -> None:
    assert duration(milliseconds) == text


@pytest.mark.parametrize(("n_bytes", "text"), [(512, "512 B"), (1400, "1.4 kB"), (1_400_000, "1.4 MB")])
def test_sizes_for_people(n_bytes: int, text: str) -> None:
    assert size(n_bytes) == text


@pytest.mark.parametrize("share", [-1.0, 0.0, 0.001, 0.5, 1.0, 7.0])
def test_a_bar_is_never_empty_and_never_longer_than_its_cells(share: float) -> None:
    drawn = bar(share, 10)

    assert len(drawn) == 10
    assert drawn.strip()


def test_long_text_is_cut_on_one_line() -> None:
    assert shortened("a\nb" + "c" * 50, 10) == "a bcccccc…"
