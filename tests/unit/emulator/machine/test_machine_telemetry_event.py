"""The bytes of an event and its decoded form say the same, in every form that a subscriber may want."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.machine.telemetry_event import TelemetryEvent, object_event, object_in
from tailrace.emulator.machine.telemetry_form import Form, Forms
from tailrace.protocol import logs_api, logs_events, platform_events, telemetry_api

TIME = "2026-01-02T03:04:05.678Z"
VERSIONS = (*telemetry_api.SCHEMA_VERSIONS, *logs_api.SCHEMA_VERSIONS)
texts = st.text(st.characters(codec="utf-8"))
objects = st.dictionaries(texts, st.one_of(st.none(), st.booleans(), st.integers(), texts, st.lists(texts)))
lines = st.one_of(texts, objects.map(json.dumps))


def forms(**policy: bool) -> list[Form]:
    every = Forms(Policy(**policy))  # type: ignore[arg-type]  # only switches are given
    return [every.of(version) for version in VERSIONS]


def check(event: TelemetryEvent) -> None:
    for wanted in (*forms(), *forms(telemetry_api_keeps_newline=True, logs_api_keeps_newline=False)):
        encoded = event.encoded(wanted)
        assert b"\n" not in encoded
        assert json.loads(encoded) == event.mapping(wanted)
        assert event.encoded(wanted) is encoded


@given(lines, st.sampled_from(["function", "extension"]))
def test_a_plain_line_in_every_form(line: str, type_: str) -> None:
    check(TelemetryEvent(1, TIME, type_, line, line))


@given(lines.map(lambda text: text.replace("\n", " ")), st.one_of(st.none(), texts))
def test_a_line_under_the_json_log_format_in_every_form(line: str, request_id: str | None) -> None:
    event = object_event(1, TIME, "function", line, object_in(line), request_id)
    check(event)
    assert isinstance(event.record, dict)


RECORDS: list[tuple[str, Any]] = [
    (platform_events.INIT_START, platform_events.init_start("init", "billing", "$LATEST", "python:3.13.v12", "arn:x")),
    (platform_events.START, platform_events.start("id", "$LATEST", {"type": "X", "value": "Root=1"}, "tenant")),
    (platform_events.RUNTIME_DONE, platform_events.runtime_done("id", "error", 1.5, 3, "Runtime.ExitError")),
    (platform_events.REPORT, platform_events.report("id", "success", 1.5, 2, 128, 40, 100.25)),
    (platform_events.LOGS_DROPPED, platform_events.logs_dropped("slow", 3, 100)),
    (platform_events.FAULT, "RequestId: id Error: x\nRuntime.ExitError"),
    (platform_events.END, {"requestId": "id"}),
]


@pytest.mark.parametrize(("type_", "record"), RECORDS)
def test_a_platform_event_in_every_form(type_: str, record: Any) -> None:
    check(TelemetryEvent(1, TIME, type_, record))


@pytest.mark.parametrize(("type_", "record"), RECORDS)
def test_a_record_has_the_members_of_its_schema(type_: str, record: Any) -> None:
    event = TelemetryEvent(1, TIME, type_, record)
    for version, wanted in zip(VERSIONS, forms(), strict=True):
        if not wanted.has(type_):
            continue
        shown = event.mapping(wanted)
        if wanted.is_logs:
            members = shown["record"]
            assert isinstance(members, str) or set(members) <= set(logs_events.MEMBERS[type_])  # type: ignore[call-overload]
        else:
            assert platform_events.problems_of(shown, version) == []


def test_which_events_each_form_has() -> None:
    every = dict(zip(VERSIONS, forms(), strict=True))
    assert not every["2022-07-01"].has(platform_events.RESTORE_START)
    assert every["2022-12-13"].has(platform_events.RESTORE_START)
    assert not every["2020-08-15"].has(platform_events.RUNTIME_DONE)
    assert every["2021-03-18"].has(platform_events.RUNTIME_DONE)
    for kind in (platform_events.END, platform_events.FAULT, platform_events.LOGS_SUBSCRIPTION):
        assert [wanted.has(kind) for wanted in every.values()] == [False, False, False, True, True]
    for kind in (platform_events.INIT_START, platform_events.TELEMETRY_SUBSCRIPTION, platform_events.INIT_REPORT):
        assert [wanted.has(kind) for wanted in every.values()] == [True, True, True, False, False]
