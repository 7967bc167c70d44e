from __future__ import annotations

from tailrace.emulator.machine.effects import ConfirmDelivery, PublishEvent, QueueEvent
from tailrace.emulator.telemetry.log import NoTelemetryLog, TelemetryLog

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


def large(n: int) -> PublishEvent:
    return PublishEvent(n, {**event(n % 10), "record": f"{n:02}" + "x" * 10_000}, ("a",) if n % 2 else ())


def test_of_very_many_events_the_newest_are_kept_and_all_are_counted() -> None:
    log = TelemetryLog(max_bytes=100_000)
    for n in range(50):
        log.published(large(n))
        if n % 4 == 1:
            log.queued(QueueEvent("b", n, event(0)))
        if n == 20:
            log.confirmed(ConfirmDelivery("a", (1, 19)), NOW_NS)  # one that is left out, one that will be
    log.queued(QueueEvent("late", 0, event(0)))
    log.confirmed(ConfirmDelivery("b", (1, 49)), NOW_NS)
    records = [str(entry.event["record"]) for entry in log.entries() if entry.subscriber != "b"]
    assert [int(record[:2]) for record in records] == list(range(41, 50))
    assert sum(map(len, records)) < 100_000
    counts = log.counts()
    assert counts.given == {None: 25, "a": 25, "b": 13, "late": 1}
    assert counts.acknowledged == {"a": 2, "b": 2}
    assert counts.n_left_out == 64 - len(log.entries())


def test_a_hundred_megabytes_of_events_do_not_stay_in_memory() -> None:
    log = TelemetryLog()
    record = "y" * 1_000_000
    for n in range(100):
        log.published(PublishEvent(n, {"record": record + str(n)}, ("a",)))
    assert sum(len(str(entry.event["record"])) for entry in log.entries()) <= 32 * 1_048_576
    assert (len(log.entries()), log.counts().n_left_out) == (33, 67)


def test_an_event_in_many_forms_counts_for_each() -> None:
    log = TelemetryLog(max_bytes=30_000)
    log.published(large(1))
    for name in ("b", "c", "d"):
        log.queued(QueueEvent(name, 1, large(1).event))
    log.published(large(2))
    assert [(entry.subscriber, str(entry.event["record"])[:2]) for entry in log.entries()] == [(None, "02")]
    assert log.counts().given == {"a": 1, "b": 1, "c": 1, "d": 1, None: 1}


def test_where_nobody_asks_nothing_is_kept() -> None:
    log = NoTelemetryLog()
    log.published(large(1))
    log.queued(QueueEvent("a", 1, event(1)))
    log.confirmed(ConfirmDelivery("a", (1,)), NOW_NS)
    assert (log.entries(), log.counts().given) == ((), {})
