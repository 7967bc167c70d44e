"""A post is acknowledged when its records have a place: held while there is none, refused when that lasts."""

from __future__ import annotations

import threading

import pytest

from support.pipeline_fakes import FakeDestination, FakeTransport, Rig, Told, record
from tailrace.clock import ManualClock, SystemClock
from tailrace.pipeline.dead_letters.writer import DeadLetters
from tailrace.pipeline.fanout import Fanout, Room
from tailrace.pipeline.intake import ADDED_BYTES, HoldBudget, Intake
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.progress import Progress
from tailrace.pipeline.routing import Route
from tailrace.pipeline.sending.settings import SenderSettings

LIMIT_S = 20.0
ROOM = Room((), is_enough=True)
ROOM_ELSEWHERE = Room((), is_enough=False)
NO_ROOM = Room((), is_enough=False, is_some=False)
SMALL = SenderSettings(queue_max_bytes=32)


class Door:
    """An intake whose destinations have the room that a test says."""

    def __init__(self, hold_s: float = 0.01) -> None:
        self.says = ROOM
        self.asked: list[tuple[int, int]] = []
        self.asked_again = threading.Event()
        self.ledger, self.told = Ledger(), Told()
        self.progress = Progress(SystemClock())
        self.intake = Intake(
            self.ledger, self.progress, SystemClock(), hold_s=hold_s, make_room=self._room, diagnostics=self.told
        )

    def _room(self, n_bytes: int, promised_bytes: int) -> Room:
        self.asked.append((n_bytes, promised_bytes))
        if len(self.asked) > 1:
            self.asked_again.set()
        return self.says

    def refused(self) -> dict[str, int]:
        row = self.ledger.snapshot().get("refused")
        return row.rejected_reasons if row is not None else {}


def test_with_room_nobody_waits_and_nothing_is_said() -> None:
    door = Door()
    assert door.intake.admit(b"x" * 10)
    assert (door.refused(), door.told.lines) == ({}, [])


def test_what_waits_and_what_is_in_work_must_find_room_too() -> None:
    door = Door()
    one = 100 + ADDED_BYTES
    for _ in range(3):
        door.intake.admit(b"x" * 100)
    door.intake.take()
    door.intake.admit(b"x" * 100)
    door.intake.take()  # the first one is with the destinations now
    door.intake.admit(b"x" * 100)
    assert door.asked == [(one, 0), (one, one), (one, 2 * one), (one, 3 * one), (one, 3 * one)]


def test_an_answer_is_held_until_a_destination_has_room() -> None:
    door = Door(hold_s=LIMIT_S)
    door.says = NO_ROOM
    answers: list[bool] = []
    post = threading.Thread(target=lambda: answers.append(door.intake.admit(b"x")))
    post.start()
    assert door.asked_again.wait(LIMIT_S)
    assert answers == []
    door.says = ROOM
    post.join(LIMIT_S)
    assert (answers, door.refused()) == ([True], {})


def test_where_nobody_has_room_for_long_a_post_is_refused_by_name_and_said_once() -> None:
    door = Door()
    door.says = NO_ROOM
    assert [door.intake.admit(b"x") for _ in range(3)] == [False] * 3
    assert door.refused() == {"memory_and_spool_full": 3}
    door.says = ROOM
    assert door.intake.admit(b"x")
    assert door.intake.admit(b"x")
    said = [(level, fields) for level, _, fields in door.told.lines]
    assert said == [("warn", {"reason": "memory_and_spool_full"}), ("info", {"refusedPosts": 3})]


def test_a_destination_that_is_up_is_waited_for_and_what_another_takes_is_never_refused() -> None:
    door = Door()
    door.says = ROOM_ELSEWHERE
    assert door.intake.admit(b"x")
    assert len(door.asked) > 1
    assert door.refused() == {}


def test_the_end_of_the_process_lets_everybody_go_at_once() -> None:
    door = Door(hold_s=1000.0)
    door.says = NO_ROOM
    answers: list[bool] = []
    post = threading.Thread(target=lambda: answers.append(door.intake.admit(b"x")))
    post.start()
    assert door.asked_again.wait(LIMIT_S)
    door.intake.close()
    post.join(LIMIT_S)
    assert (answers, door.refused(), door.told.lines) == ([False], {"shutdown": 1}, [])


def test_an_invocation_does_not_wait_for_an_end_that_is_not_let_in() -> None:
    door = Door()
    door.says = NO_ROOM
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(door.progress.wait_done("r-1", LIMIT_S)))
    waiter.start()
    while waiter.is_alive():
        door.intake.admit(b"x")
    waiter.join()
    assert answers == [False]


class Pacing(Door):
    """There is room for each post after a few looks."""

    def _room(self, n_bytes: int, promised_bytes: int) -> Room:
        self.asked.append((n_bytes, promised_bytes))
        return ROOM if len(self.asked) % 4 == 0 else self.says


@pytest.mark.parametrize(
    ("hold_s", "is_hopeful"),
    [(0.3, True), (1000.0, False)],
    ids=["for a bounded time", "not at all where all are down"],
)
def test_posts_that_are_held_hold_an_invocation(hold_s: float, is_hopeful: bool) -> None:
    door = Pacing(hold_s)
    door.says = Room((), is_enough=False, is_some=False, is_hopeful=is_hopeful)
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(door.progress.wait_done("r-1", 1000.0)))
    waiter.start()
    while waiter.is_alive():
        assert door.intake.admit(b"x")  # none is refused
    assert answers == [False]


def test_a_budget_is_used_up_by_waits_and_earned_back_slowly() -> None:
    clock = ManualClock()
    budget = HoldBudget(clock.monotonic_s(), 2.0)
    began_s = clock.monotonic_s()
    assert budget.left_s(began_s) == 2.0
    clock.advance(1.5)
    budget.used(began_s, clock.monotonic_s())
    assert budget.left_s(clock.monotonic_s()) == pytest.approx(0.5)
    clock.advance(10.0)
    assert budget.left_s(clock.monotonic_s()) == pytest.approx(1.5)
    clock.advance(100.0)
    assert budget.left_s(clock.monotonic_s()) == 2.0


# what room the destinations have


def words(room: Room) -> tuple[bool, bool]:
    return room.is_enough, room.is_some


def a_rig(ledger: Ledger, name: str = "fake://one", settings: SenderSettings = SMALL) -> Rig:
    return Rig(FakeDestination(name), FakeTransport(), ledger, ManualClock(), settings)


def fill(rig: Rig) -> None:
    rig.offer(1, 4)
    assert not rig.exporter.make_room(8)


def take_down(rig: Rig) -> None:
    assert not rig.exporter.wait_drained(rig.clock.monotonic_s())
    assert not rig.exporter.is_up


def test_a_full_destination_has_no_room_whether_it_is_up_or_down() -> None:
    rig = a_rig(ledger := Ledger())
    fanout = Fanout([rig.exporter], ledger, rig.clock)
    assert words(fanout.make_room(8)) == words(ROOM)
    assert words(fanout.make_room(1000)) == words(ROOM)
    fill(rig)
    assert words(fanout.make_room(8)) == words(NO_ROOM)
    take_down(rig)
    assert words(fanout.make_room(8)) == words(NO_ROOM)


def test_what_was_promised_room_and_is_still_to_come_takes_it() -> None:
    rig = a_rig(ledger := Ledger())
    fanout = Fanout([rig.exporter], ledger, rig.clock)
    assert words(fanout.make_room(1000, promised_bytes=31)) == words(ROOM)  # one post may exceed the bound
    assert words(fanout.make_room(1, promised_bytes=32)) == words(NO_ROOM)


def test_room_at_one_destination_is_room_and_one_that_is_up_comes_first() -> None:
    full, free = a_rig(ledger := Ledger()), a_rig(ledger, "fake://two")
    fanout = Fanout([full.exporter, free.exporter], ledger, full.clock)
    fill(full)
    assert words(fanout.make_room(8)) == words(ROOM)
    free.offer(1, 1)
    take_down(free)
    assert words(fanout.make_room(8)) == words(ROOM_ELSEWHERE)
    take_down(full)
    assert words(fanout.make_room(8)) == words(ROOM)


def test_a_stand_in_that_gets_nothing_has_no_room_to_give() -> None:
    first, stand_in = a_rig(ledger := Ledger()), a_rig(ledger, "fake://two")
    fanout = Fanout([first.exporter, stand_in.exporter], ledger, first.clock, routes=[Route(), Route(instead_of=0)])
    fill(first)
    assert words(fanout.make_room(8)) == words(NO_ROOM)
    take_down(first)
    assert words(fanout.make_room(8)) == words(ROOM)


def test_where_nothing_can_be_delivered_nothing_is_refused_for_want_of_room() -> None:
    ledger = Ledger()
    assert words(Fanout([], ledger, ManualClock()).make_room(1 << 30)) == words(ROOM)
    assert words(Fanout([], ledger, ManualClock(), unusable=[ledger.open_row("bad")]).make_room(1 << 30)) == words(ROOM)


def test_room_among_the_dead_letters_is_room() -> None:
    rig = a_rig(ledger := Ledger())
    letters = DeadLetters(FakeDestination("file:///dead"), FakeTransport(), rig.surroundings, max_bytes=100)
    fanout = Fanout([rig.exporter], ledger, rig.clock, dead_letters=letters)
    fill(rig)
    assert words(fanout.make_room(8)) == words(ROOM_ELSEWHERE)
    letters.close(rig.clock.monotonic_s())
    assert words(fanout.make_room(8)) == words(NO_ROOM)


@pytest.mark.parametrize("has_promised", [True, False])
def test_what_was_promised_a_place_gets_one_whatever_it_comes_to(has_promised: bool) -> None:
    rig = a_rig(ledger := Ledger())
    fanout = Fanout([rig.exporter], ledger, rig.clock)
    promised = fanout.make_room(8).promised
    assert promised == [rig.exporter]
    fanout.offer([record(seq) for seq in range(10)], promised if has_promised else ())
    counts = rig.counts()
    assert (counts.held, counts.dropped) == ((10, {}) if has_promised else (4, {"queue_full": 6}))
    assert fanout.make_room(8).promised == []


def test_a_destination_that_is_closed_refuses_nothing() -> None:
    rig = a_rig(ledger := Ledger())
    fanout = Fanout([rig.exporter], ledger, rig.clock)
    fill(rig)
    rig.exporter.close(rig.clock.monotonic_s())
    assert words(fanout.make_room(8)) == words(ROOM)


def test_an_open_batch_does_not_wait_for_its_age_while_somebody_waits_for_room() -> None:
    settings = SenderSettings(queue_max_bytes=100, batch_max_age_s=1000.0)
    rig = Rig(FakeDestination(), FakeTransport(), Ledger(), SystemClock(), settings)
    fanout = Fanout([rig.exporter], rig.ledger, rig.clock)
    with rig.running():
        rig.offer(1, 2)
        until_s = rig.soon
        while not fanout.make_room(1, promised_bytes=90).is_enough:
            assert rig.clock.monotonic_s() < until_s
        assert rig.counts().delivered == 2
