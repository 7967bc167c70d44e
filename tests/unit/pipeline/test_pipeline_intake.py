from __future__ import annotations

import threading

from tailrace.clock import ManualClock, SystemClock
from tailrace.pipeline.intake import Intake, Oversized
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.progress import LOSS_QUIET_S, Progress

LIMIT_S = 20.0


def an_intake(max_bytes: int = 10, hold_s: float = LIMIT_S) -> tuple[Intake, Ledger]:
    clock, ledger = SystemClock(), Ledger()
    return Intake(ledger, Progress(clock), clock, max_bytes, hold_s), ledger


def taken(intake: Intake) -> bytes | Oversized:
    body = intake.take()
    assert body is not None
    return body.content


def test_bodies_come_out_in_order() -> None:
    intake, _ = an_intake()
    for body in (b"one", b"two", Oversized(99)):
        assert intake.admit(body)
    intake.close()
    assert [taken(intake), taken(intake)] == [b"one", b"two"]
    oversized = taken(intake)
    assert isinstance(oversized, Oversized)
    assert oversized.n_bytes == 99
    assert intake.take() is None


def test_a_full_intake_holds_the_answer_until_there_is_room() -> None:
    intake, ledger = an_intake()
    assert intake.admit(b"x" * 8)
    answers: list[bool] = []
    second = threading.Thread(target=lambda: answers.append(intake.admit(b"y" * 8)))
    second.start()
    assert taken(intake) == b"x" * 8
    second.join(LIMIT_S)
    assert answers == [True]
    assert ledger.snapshot() == {}


def test_an_intake_that_stays_full_refuses_and_the_ledger_says_so() -> None:
    intake, ledger = an_intake(hold_s=0.01)
    assert intake.admit(b"x" * 8)
    assert not intake.admit(b"y" * 8)
    assert ledger.snapshot()["refused"].received == 1
    assert taken(intake) == b"x" * 8
    assert intake.admit(b"y" * 8)


def test_a_body_larger_than_the_bound_gets_in_when_nothing_waits() -> None:
    intake, _ = an_intake(hold_s=0.01)
    assert intake.admit(b"x" * 50)
    assert not intake.admit(b"y")


def test_a_closed_intake_refuses_and_lets_everybody_go() -> None:
    intake, ledger = an_intake()
    ended: list[object] = []
    worker = threading.Thread(target=lambda: ended.append(intake.take()))
    worker.start()
    intake.close()
    worker.join(LIMIT_S)
    assert ended == [None]
    assert not intake.admit(b"x")
    assert ledger.snapshot()["refused"].rejected == 1


def test_waiting_for_an_invocation_ends_when_it_is_done() -> None:
    progress = Progress(SystemClock())
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(progress.wait_done("r-1", LIMIT_S)))
    waiter.start()
    progress.invocation_done("r-0")
    progress.report_seen("r-1")
    progress.invocation_done("r-1")
    waiter.join(LIMIT_S)
    assert answers == [True]
    assert progress.wait_done("r-1", 0)
    assert not progress.wait_done("r-2", 0.001)
    assert progress.wait_report("r-1", 0)
    assert not progress.wait_report("r-0", 0)


def test_after_a_loss_silence_stands_for_the_end_of_the_invocation_and_only_then() -> None:
    progress = Progress(SystemClock())
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(progress.wait_done("r-1", LIMIT_S)))
    waiter.start()
    progress.lost()
    waiter.join(LIMIT_S / 2)
    assert answers == [False]
    progress.lost()
    progress.invocation_done("r-2")
    assert progress.wait_done("r-2", 0)
    assert not progress.wait_done("r-3", LOSS_QUIET_S * 1.1)  # the loss was before that end: nothing is in doubt


def test_a_loss_does_not_hide_an_end_that_comes_all_the_same() -> None:
    progress = Progress(SystemClock())
    progress.lost()
    progress.admitted()  # something is still on its way through the worker
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(progress.wait_done("r-1", LIMIT_S)))
    waiter.start()
    progress.invocation_done("r-1")
    waiter.join(LIMIT_S)
    assert answers == [True]


def test_what_is_remembered_is_bounded() -> None:
    progress = Progress(ManualClock())
    for n in range(1000):
        progress.invocation_done(f"r-{n}")
    assert progress.wait_done("r-999", 0)
    assert not progress.wait_done("r-0", 0)


def test_it_is_quiet_when_everything_admitted_is_processed() -> None:
    progress = Progress(SystemClock())
    assert progress.wait_quiet(0)
    progress.admitted()
    assert not progress.wait_quiet(0.001)
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(progress.wait_quiet(LIMIT_S)))
    waiter.start()
    progress.processed()
    waiter.join(LIMIT_S)
    assert answers == [True]


def test_settling_starts_over_with_every_arrival_and_ends_with_its_time() -> None:
    clock = ManualClock()
    progress = Progress(clock)
    assert not progress.wait_quiet(0, settle_s=5.0)
    assert Progress(SystemClock()).wait_quiet(LIMIT_S, settle_s=0.01)
    assert not Progress(SystemClock()).wait_quiet(0.01, settle_s=LIMIT_S)


def test_waiting_for_a_report_ends_with_the_report_or_with_silence() -> None:
    progress = Progress(SystemClock())
    assert not progress.wait_report("r-1", LIMIT_S, quiet_s=0.01)
    progress.admitted()
    assert not progress.wait_report("r-1", 0.01, quiet_s=0.001)
    progress.report_seen("r-1")
    assert progress.wait_report("r-1", LIMIT_S, quiet_s=LIMIT_S)
