"""Who gets how much of the last two seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from tailrace.clock import ManualClock
from tailrace.pipeline.dead_letters.writer import DeadLetters
from tailrace.pipeline.last_flush import close_all
from tailrace.pipeline.sending.exporter import Exporter


class Stage:
    """A clock that goes on with whoever waits, and what happened when."""

    def __init__(self, share: Callable[[float, bool], float] = lambda left_s, is_up: left_s * (0.3 if is_up else 0.75)):
        self.clock = ManualClock(monotonic_s=0.0)
        self.happened: list[tuple[float, str]] = []
        self.share = share

    def until(self, moment_s: float) -> None:
        self.clock.advance(max(0.0, moment_s - self.clock.monotonic_s()))

    def note(self, what: str) -> None:
        self.happened.append((round(self.clock.monotonic_s(), 3), what))

    def close(self, *exporters: FakeExporter, keep: bool = False, letters: bool = True) -> None:
        known = cast("list[Exporter]", list(exporters))
        close_all(known, cast(DeadLetters, FakeLetters(self)) if letters else None, self.clock, 2.0, keep)


class FakeExporter:
    def __init__(self, stage: Stage, name: str, is_up: bool, needs_s: float = 9.0, answers_s: float | None = None):
        self._stage = stage
        self._name = name
        self._is_up = is_up
        self._needs_s = needs_s
        self._answers_s = answers_s
        self.tries_until_s = 0.0
        self.remains = name

    @property
    def is_up(self) -> bool:
        answers_s = self._answers_s
        return self._is_up or (answers_s is not None and self._stage.clock.monotonic_s() >= answers_s)

    def begin_close(self, deadline_s: float, keep: bool) -> None:
        self.tries_until_s = deadline_s

    def wait_left(self, until_s: float) -> bool:
        self._stage.until(min(until_s, self._needs_s))
        return self._needs_s <= until_s

    def finish_close(self, deadline_s: float) -> None:
        assert deadline_s == self.tries_until_s
        self._stage.until(min(deadline_s, self._needs_s))
        self._stage.note(f"{self._name} ends")


class FakeLetters:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def reserve_s(self, left_s: float, is_up: bool = True) -> float:
        return self._stage.share(left_s, is_up)

    def begin_close(self, deadline_s: float) -> None:
        self._stage.note(f"letters until {deadline_s}")

    def stream(self, remains: str) -> None:
        self._stage.note(f"{remains} is buried")

    def close(self, deadline_s: float) -> None:
        self._stage.note("the rest is lost")


def test_one_that_is_down_has_a_quarter_of_the_time_and_the_letters_have_the_rest() -> None:
    stage = Stage()
    stage.close(FakeExporter(stage, "dead", is_up=False))
    assert stage.happened == [
        (0.0, "letters until 2.0"), (0.5, "dead ends"), (0.5, "dead is buried"), (0.5, "the rest is lost"),
    ]  # fmt: skip


def test_one_that_is_up_has_most_of_the_time() -> None:
    stage = Stage()
    stage.close(FakeExporter(stage, "slow", is_up=True))
    assert stage.happened[1:3] == [(1.4, "slow ends"), (1.4, "slow is buried")]


def test_the_letters_of_the_dead_one_are_written_while_the_other_still_delivers() -> None:
    stage = Stage()
    stage.close(FakeExporter(stage, "slow", is_up=True, needs_s=1.0), FakeExporter(stage, "dead", is_up=False))
    assert stage.happened[1:] == [
        (0.5, "dead ends"), (0.5, "dead is buried"), (1.0, "slow ends"), (1.0, "slow is buried"),
        (1.0, "the rest is lost"),
    ]  # fmt: skip


def test_one_that_answers_again_at_the_last_attempt_goes_on() -> None:
    stage = Stage()
    stage.close(FakeExporter(stage, "back", is_up=False, needs_s=1.1, answers_s=0.3))
    assert stage.happened[1:] == [(1.1, "back ends"), (1.1, "back is buried"), (1.1, "the rest is lost")]


def test_what_stays_on_disk_for_another_process_needs_no_time_for_letters() -> None:
    stage = Stage()
    stage.close(FakeExporter(stage, "dead", is_up=False), keep=True)
    assert stage.happened[1] == (1.4, "dead ends")


@pytest.mark.parametrize("is_up", [True, False])
def test_without_dead_letters_all_the_time_is_for_deliveries(is_up: bool) -> None:
    stage = Stage()
    stage.close(FakeExporter(stage, "one", is_up), FakeExporter(stage, "two", is_up), letters=False)
    assert stage.happened == [(2.0, "one ends"), (2.0, "two ends")]
