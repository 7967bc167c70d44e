from __future__ import annotations

from tailrace.emulator.ledger_line import LedgerWatch, parse_ledger
from tailrace.emulator.machine.effects import ConfirmDelivery, PostTelemetry, PublishEvent
from tailrace.emulator.telemetry_log import TelemetryLog

NOW_NS = 1_700_000_000_123_000_000


def event(n: int) -> dict[str, object]:
    return {"time": f"2026-01-01T00:00:00.00{n}Z", "type": "function", "record": str(n)}


def test_one_entry_for_each_event_and_subscriber_and_one_without():
    log = TelemetryLog()
    for n in range(4):
        log.published(PublishEvent(n, event(n)))
    log.attempted(PostTelemetry(1, "a", "http://x", b"", (0, 1, 2)))
    log.attempted(PostTelemetry(2, "b", "http://x", b"", (0,)))
    changed = {**event(0), "record": "as b got it"}
    log.confirmed(ConfirmDelivery("b", (0,), (changed,)), NOW_NS)
    log.confirmed(ConfirmDelivery("a", (0, 1), (event(0), event(1))), NOW_NS)
    at = "2023-11-14T22:13:20.123Z"
    assert [(entry.subscriber, entry.event["record"], entry.delivered_at) for entry in log.entries()] == [
        ("b", "as b got it", at),
        ("a", "0", at),
        ("a", "1", at),
        ("a", "2", None),
        (None, "3", None),
    ]
    assert log.entries()[0].as_json() == {
        "subscriber": "b",
        "time": event(0)["time"],
        "event": changed,
        "deliveredAt": at,
    }


def test_only_a_line_of_the_ledgers_type_is_a_ledger():
    assert parse_ledger('{"type":"tailrace.ledger","file:///a":{}}') == {"type": "tailrace.ledger", "file:///a": {}}
    for text in ("", "tailrace.ledger", '{"type":"tailrace.log"}', '["tailrace.ledger"]', '{"type":"tailrace.ledger"'):
        assert parse_ledger(text) is None


def test_the_last_ledger_counts_and_a_new_process_forgets_the_old_ones():
    watch = LedgerWatch()
    assert watch.latest is None
    line = '{"type":"tailrace.ledger","x":{"received":%d}}'
    watch.line_written("ext:a", line % 1)
    watch.line_written("ext:a", "something else")
    watch.line_written("ext:a", line % 2)
    assert watch.latest == {"type": "tailrace.ledger", "x": {"received": 2}}
    watch.line_written("ext:b", line % 3)
    watch.process_started("ext:b")
    assert watch.latest == {"type": "tailrace.ledger", "x": {"received": 2}}
    watch.process_started("ext:a")
    assert watch.latest is None
