from __future__ import annotations

import json

from tailrace.emulator.ledger_line import LedgerWatch, parse_ledger


def line(**row: object) -> str:
    return json.dumps({"type": "tailrace.ledger", "x": row})


def test_only_a_line_of_the_ledgers_type_is_a_ledger() -> None:
    assert parse_ledger('{"type":"tailrace.ledger","file:///a":{}}') == {"type": "tailrace.ledger", "file:///a": {}}
    odd = '{"type":"tailrace.ledger","x":' + "[" * 100_000
    for text in ("", "tailrace.ledger", '{"type":"tailrace.log"}', '["tailrace.ledger"]', odd):
        assert parse_ledger(text) is None


def test_of_one_generation_the_last_line_counts() -> None:
    watch = LedgerWatch()
    watch.process_started("ext:a")
    assert watch.total is None
    for text in (line(received=1), "something else", line(received=2)):
        watch.line_written("ext:a", text)
    assert watch.total == {"type": "tailrace.ledger", "x": {"received": 2}}


def test_generations_add_up_reason_by_reason_and_destination_by_destination() -> None:
    watch = LedgerWatch()
    watch.process_started("ext:a")
    watch.line_written("ext:a", line(received=3, dropped={"shutdown": 1, "full": 1}))
    watch.process_started("ext:a")
    other = {"type": "tailrace.ledger", "x": {"received": 4, "dropped": {"shutdown": 2}}, "y": {"received": 1}}
    watch.line_written("ext:a", json.dumps(other))
    assert watch.total == {
        "type": "tailrace.ledger",
        "x": {"received": 7, "dropped": {"shutdown": 3, "full": 1}},
        "y": {"received": 1},
    }


def test_what_one_process_took_over_from_another_is_counted_once() -> None:
    watch = LedgerWatch()
    watch.process_started("ext:a")
    watch.line_written("ext:a", line(received=100, delivered=60, held=40, spooled=40, ageMs={"p50": 7, "max": 9}))
    watch.process_started("ext:a")
    watch.line_written("ext:a", line(received=45, delivered=5, held=40, spooled=40, takenOver=40))
    watch.process_started("ext:a")
    last = line(received=41, delivered=41, held=0, takenOver=40, ageMs={"p50": 5, "max": 11})
    watch.line_written("ext:a", last)

    assert watch.total is not None
    assert watch.total["x"] == {
        "received": 106,
        "delivered": 106,
        "held": 0,
        "spooled": 0,
        "ageMs": {"p50": 7, "max": 11},
    }


def test_a_generation_killed_before_its_line_hides_the_sum_until_a_later_one_prints() -> None:
    watch = LedgerWatch()
    watch.process_started("ext:a")
    watch.line_written("ext:a", line(received=3))
    watch.process_started("ext:a")
    assert watch.total is None
    watch.process_started("ext:a")
    watch.line_written("ext:a", line(received=4))
    assert watch.total == {"type": "tailrace.ledger", "x": {"received": 7}}


def test_of_two_extensions_the_one_that_printed_last_counts() -> None:
    watch = LedgerWatch()
    watch.process_started("ext:a")
    watch.process_started("ext:b")
    watch.line_written("ext:b", line(received=3))
    watch.line_written("ext:a", line(received=4))
    assert watch.total == {"type": "tailrace.ledger", "x": {"received": 4}}
