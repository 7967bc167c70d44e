"""What is said when a destination stops taking records, and when it takes them again: one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.pipeline_fakes import LIMIT_S, RESOURCE, FakeLimits, FakeTransport, Rig, Told
from tailrace.clock import ManualClock, SystemClock
from tailrace.errors import ConnectError
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.messages import AUTHENTICATION, DELIVERED, PARTIAL, RETRY, Outcome
from tailrace.pipeline.sending.batcher import Entry
from tailrace.pipeline.sending.breaker import Breaker
from tailrace.pipeline.sending.notices import Notice
from tailrace.pipeline.sending.sender import Sender
from tailrace.pipeline.sending.settings import SenderSettings
from tailrace.pipeline.spooling.folder import open_spool_folder
from tailrace.pipeline.spooling.shelf import Shelf
from tailrace.pipeline.spooling.spool import Spool

NOON_S = 1_795_176_000.0  # 2026-11-20T12:00:00Z


def a_sender(max_records: int = 1000) -> Sender:
    return Sender(Ledger().open_row("x"), FakeLimits(max_records=max_records), True, SenderSettings())


def offer(sender: Sender, *times: str) -> None:
    entries = [Entry(b"x", seq, f"2026-11-20T{time}Z") for seq, time in enumerate(times, 1)]
    sender.offered(entries, 0.0, "2026-11-20T12:00:00.000Z")
    sender.flush()
    sender.next_step(0.0)


def held(notices: list[Notice]) -> list[tuple[object, object]]:
    return [(notice.fields.get("heldRecords"), notice.fields.get("oldestS")) for notice in notices]


FACTS = {
    "refused": lambda sender: sender.not_connected("refused", 0.0, 0.0, None, NOON_S),
    "reset": lambda sender: sender.no_reply("reset", 0.0, 0.0, None, wall_s=NOON_S),
    "no credentials": lambda sender: sender.not_built("no credentials", 0.0, 0.0, None, NOON_S),
    "fault": lambda sender: sender.broke("fault", 0.0, 0.0, None, NOON_S),
    "503": lambda sender: sender.replied(Outcome(RETRY, "503"), 0.0, 0.0, None, NOON_S),
    "401": lambda sender: sender.replied(Outcome(AUTHENTICATION, "401"), 0.0, 0.0, None, NOON_S),
    "all again": lambda sender: sender.replied(Outcome(PARTIAL, "busy", again=range(3)), 0.0, 0.0, None, NOON_S),
    "no answer": lambda sender: sender.wait_expired(0.0, NOON_S),
}


@pytest.mark.parametrize("fact", FACTS)
def test_the_first_line_of_a_failure_window_says_how_much_is_held_and_how_old_that_is(fact: str) -> None:
    sender = a_sender()
    offer(sender, "11:59:58.500", "11:59:57.250", "11:59:59.000")
    assert held(FACTS[fact](sender)) == [(3, 2.75)]


def test_of_many_batches_the_first_one_holds_the_oldest() -> None:
    sender = a_sender(max_records=1)
    offer(sender, "11:59:30.000", "11:59:59.000")
    assert held(sender.not_connected("refused", 0.0, 0.0, None, NOON_S)) == [(2, 30.0)]


def test_what_is_not_batched_yet_counts_and_a_record_from_the_future_is_no_age() -> None:
    sender = a_sender()
    sender.offered([Entry(b"x", 1, "2026-11-20T11:59:59.000Z")], 0.0, "2026-11-20T12:00:00.000Z")
    assert held(sender.wait_expired(0.0, NOON_S)) == [(1, 1.0)]
    early = a_sender()
    offer(early, "12:00:09.000")
    assert held(early.wait_expired(0.0, NOON_S)) == [(1, 0.0)]
    assert held(a_sender().wait_expired(0.0, NOON_S)) == [(0, None)]


def test_what_lies_on_disk_first_is_as_old_as_its_file(tmp_path: Path) -> None:
    clock, told = ManualClock(wall_s=NOON_S - 60), Told()
    row = Ledger().open_row("x")
    spool = Spool(open_spool_folder(str(tmp_path), ["shop"]), RESOURCE, told)
    shelf = Shelf(row, lambda: spool, clock, told, 1_000_000, 3600.0)
    sender = Sender(row, FakeLimits(max_records=1), True, SenderSettings(queue_max_bytes=40), None, shelf)
    sender.offered([Entry(b"x" * 20, seq, "") for seq in range(1, 9)], 0.0, "2026-11-20T11:59:00.000Z")
    sender.close(keep=True)
    sender.abandon()
    spool.close()
    spool = Spool(open_spool_folder(str(tmp_path), ["shop"]), RESOURCE, told)
    shelf = Shelf(row, lambda: spool, clock, told, 1_000_000, 3600.0)
    heir = Sender(Ledger().open_row("x"), FakeLimits(), True, SenderSettings(), None, shelf)
    heir.take_over(shelf.restore(), None)
    assert held(heir.wait_expired(0.0, NOON_S)) == [(8, 60.0)]
    spool.close()


def test_one_line_when_it_begins_and_one_when_it_ends_whatever_happens_in_between() -> None:
    sender = a_sender()
    offer(sender, "11:59:59.000")
    said = sender.wait_expired(0.0, NOON_S)
    for now_s in (1.0, 2.0, 3.0):
        said += sender.not_connected("refused", now_s, 0.0, None, NOON_S)
        said += sender.wait_expired(now_s, NOON_S)
        said += sender.replied(Outcome(RETRY, "503"), now_s, 0.0, None, NOON_S)
    said += sender.replied(Outcome(DELIVERED), 9.0, 0.0, None, NOON_S)
    assert [(notice.level, notice.fields["reason"]) for notice in said] == [
        ("warn", "not connected yet"),
        ("info", "503"),
    ]


def test_how_far_the_attempt_has_come_that_nobody_waits_for_any_more() -> None:
    sender = a_sender()
    offer(sender, "11:59:59.000")
    sealed = sender.next_step(0.0).sealed
    assert sealed is not None
    sender.written(sealed)
    (notice,) = sender.wait_expired(0.5, NOON_S)
    assert notice.fields["reason"] == "no reply yet"
    sender.close()
    (end,) = sender.abandon()
    assert end.fields["lastFailure"] == "no reply yet"


def test_the_thread_tells_the_age_by_the_wall_clock() -> None:
    clock = ManualClock(wall_s=1_795_208_405.0)  # five seconds after the time of its records
    rig = Rig(transport=FakeTransport([ConnectError("refused")]), clock=clock)
    rig.offer(1, 2)
    rig.exporter.request_flush()
    with rig.running():
        assert rig.exporter.wait_drained(rig.soon)
    assert [(level, fields["heldRecords"], fields.get("oldestS")) for level, _, fields in rig.told.lines] == [
        ("warn", 2, 5.0),
        ("info", 0, None),
    ]


def test_an_invocation_wakes_the_thread_of_a_destination_that_is_down_and_waits_for_nothing() -> None:
    def breaker() -> Breaker:
        return Breaker(threshold=1, first_pause_s=1e6, max_pause_s=1e6, invoked_pause_s=0.0)

    rig = Rig(
        transport=FakeTransport([ConnectError("refused")]),
        clock=SystemClock(),
        settings=SenderSettings(breaker=breaker),
    )
    fanout = Fanout([rig.exporter], rig.ledger, rig.clock)
    rig.offer(1, 1)
    rig.exporter.request_flush()
    with rig.running():
        assert not rig.exporter.wait_drained(rig.soon)
        assert rig.counts().delivered == 0
        rig.transport.gate.clear()
        rig.transport.entered.clear()
        fanout.hurry_from(rig.soon)
        assert rig.transport.entered.wait(LIMIT_S)
        assert not rig.exporter.wait_drained(rig.soon)  # it is on its way, and nobody waits for it
        rig.transport.gate.set()
        while not rig.exporter.is_up:
            rig.exporter.wait_drained(rig.soon)
        assert rig.counts().delivered == 1
