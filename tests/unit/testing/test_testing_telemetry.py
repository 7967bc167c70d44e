from __future__ import annotations

import re

import pytest

from support.telemetry import done, line, report, started
from tailrace.emulator.telemetry.log import TelemetryEntry
from tailrace.testing.telemetry import Telemetry
from tailrace.testing.waiting import ConditionNotMetError

AT = "2026-01-02T03:04:06.000Z"

ENTRIES = [
    TelemetryEntry("counter", started("id-1"), AT),
    TelemetryEntry("tailrace", started("id-1"), AT),
    TelemetryEntry("counter", line("sold one kettle"), AT),
    TelemetryEntry("counter", done("id-1"), None),
    TelemetryEntry(None, report("id-1"), None),
]


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(lambda: ENTRIES, lambda: "the environment is frozen")


def test_it_holds_what_was_delivered_and_tells_the_rest_apart(telemetry: Telemetry) -> None:
    assert [event.type for event in telemetry] == ["platform.start", "platform.start", "function"]
    assert len(telemetry) == 3
    assert [event.type for event in telemetry.undelivered] == ["platform.runtimeDone"]
    assert [event.type for event in telemetry.unsubscribed] == ["platform.report"]
    assert repr(telemetry) == "<Telemetry 2 platform.start, 1 function>"


@pytest.mark.parametrize(
    ("type_", "subscriber", "count"),
    [("function", None, 1), ("function", "tailrace", 0), ("platform", None, 2), ("platform.start", "counter", 1)],
)
def test_events_are_found_by_type_and_subscriber(
    telemetry: Telemetry, type_: str, subscriber: str | None, count: int
) -> None:
    assert len(telemetry.of(type_, subscriber)) == count


@pytest.mark.parametrize(
    ("type_", "record"),
    [
        ("function", None),
        ("function", "kettle"),
        ("function", lambda text: text.startswith("sold")),
        ("platform", {"requestId": "id-1"}),
        ("platform.start", {"requestId": "id-1", "version": "$LATEST"}),
    ],
)
def test_a_record_is_wanted_by_its_text_its_members_or_a_question(
    telemetry: Telemetry, type_: str, record: object
) -> None:
    assert telemetry.wait_for(type_, record, timeout_s=0).delivered_at == AT


@pytest.mark.parametrize("record", ["teapot", {"requestId": "id-2"}, {"other": None}, lambda record: False, 7])
def test_waiting_in_vain_says_what_was_wanted_and_what_came_instead(telemetry: Telemetry, record: object) -> None:
    with pytest.raises(ConditionNotMetError) as caught:
        telemetry.wait_for("platform.start", record, subscriber="tailrace", timeout_s=0)

    assert str(caught.value) == (
        f"no event platform.start with the record {record!r} was delivered to tailrace within 0 s; "
        "delivered: 2 platform.start, 1 function; not yet: 1 platform.runtimeDone; "
        "nobody subscribed to: 1 platform.report; the environment is frozen"
    )


def test_members_are_compared_at_every_depth_and_exactly() -> None:
    event = {**report("id-1"), "record": {"metrics": {"durationMs": 1.5, "x": 2}, "status": "successful"}}
    telemetry = Telemetry(lambda: [TelemetryEntry("a", event, AT)], str)

    assert telemetry.wait_for("platform.report", {"metrics": {"durationMs": 1.5}}, timeout_s=0)
    with pytest.raises(ConditionNotMetError, match=re.escape("{'status': 'success'}")):
        telemetry.wait_for("platform.report", {"status": "success"}, timeout_s=0)


def test_an_event_that_comes_later_ends_the_wait() -> None:
    entries: list[list[TelemetryEntry]] = [[], [], ENTRIES]
    telemetry = Telemetry(lambda: entries.pop(0), str)

    assert telemetry.wait_for("function").record == "sold one kettle"
