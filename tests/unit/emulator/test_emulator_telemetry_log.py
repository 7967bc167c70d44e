from __future__ import annotations

from tailrace.emulator.machine.effects import ConfirmDelivery, PublishEvent, QueueEvent
from tailrace.emulator.telemetry_log import TelemetryLog

NOW_NS = 1_700_000_000_123_000_000


def event(n: int) -> dict[str, object]:
    return {"time": f"2026-01-01T00:00:00.00{n}Z", "type": "function", "record": str(n)}


def test_one_entry_for_each_event_and_subscriber_and_one_without() -> None:
    log = TelemetryLog()
    changed = {**event(0), "record": "as b gets it"}
    for n in range(4):
        log.published(PublishEvent(n, event(n), ("a",) if n < 2 else ()))
    log.queued(QueueEvent("b", 0, changed))
    log.queued(QueueEvent("a", 2, event(2)))
    log.confirmed(ConfirmDelivery("b", (0,)), NOW_NS)
    log.confirmed(ConfirmDelivery("a", (0, 1)), NOW_NS)
    at = "2023-11-14T22:13:20.123Z"
    assert [(entry.subscriber, entry.event["record"], entry.delivered_at) for entry in log.entries()] == [
        ("a", "0", at),
        ("b", "as b gets it", at),
        ("a", "1", at),
        ("a", "2", None),
        (None, "3", None),
    ]
    assert log.entries()[1].as_json() == {
        "subscriber": "b",
        "time": event(0)["time"],
        "event": changed,
        "deliveredAt": at,
    }
