from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.pipeline.ledger import MAX_REASONS, OTHER_REASONS, Ledger, LedgerRow

OPERATIONS = ["receive", "deliver", "filter", "sample", "reject", "drop", "dead_letter", "resend_unconfirmed"]


def apply(row: LedgerRow, operation: str, n: int) -> None:
    if operation in ("reject", "drop"):
        getattr(row, operation)(n, f"reason {n % 3}")
    else:
        getattr(row, operation)(n)


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(-2, 5))))
def test_the_sum_holds_after_every_operation_and_no_outcome_is_booked_without_a_record(
    operations: list[tuple[str, int]],
) -> None:
    row = Ledger().open_row("x")
    for operation, n in operations:
        before = row.snapshot()
        settles = operation not in ("receive", "resend_unconfirmed")
        if (settles and n > before.held) or (n < 0 and operation != "resend_unconfirmed"):
            with pytest.raises(ValueError, match="ledger row x"):
                apply(row, operation, n)
            assert row.snapshot().to_object() == before.to_object()
        else:
            apply(row, operation, n)
        after = row.snapshot()
        assert after.received == after.accounted
        assert after.held >= 0


def test_the_sum_holds_at_every_instant_while_many_threads_book() -> None:
    ledger = Ledger()
    row = ledger.open_row("x")
    stop = threading.Event()
    broken: list[dict[str, object]] = []

    def book() -> None:
        for n in range(1500):
            row.receive(2)
            row.deliver()
            row.drop(1, "queue_full") if n % 2 else row.reject(1, "bad")

    def watch() -> None:
        while not stop.is_set():
            counts = ledger.snapshot()["x"]
            if counts.received != counts.accounted:
                broken.append(counts.to_object())

    watcher = threading.Thread(target=watch)
    bookers = [threading.Thread(target=book) for _ in range(4)]
    watcher.start()
    for thread in bookers:
        thread.start()
    for thread in bookers:
        thread.join(30)
    stop.set()
    watcher.join(30)
    assert broken == []
    counts = row.snapshot()
    assert (counts.received, counts.delivered, counts.held) == (12000, 6000, 0)
    assert (counts.rejected, counts.dropped) == (3000, {"queue_full": 3000})


def test_sequence_numbers_are_unique_among_threads() -> None:
    ledger, seen = Ledger(), []

    def draw() -> None:
        for _ in range(2000):
            seen.append(ledger.next_seqs(1))  # noqa: PERF401 - the appends are to interleave

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(seen) == list(range(1, 8001))


def test_equal_names_get_a_number_and_the_line_s_own_member_is_not_taken() -> None:
    ledger = Ledger()
    names = [ledger.open_row(name).name for name in ("a", "a", "b", "a", "type", "refused")]
    assert names == ["a", "a#2", "b", "a#3", "type#2", "refused#2"]


def test_the_shutdown_line_has_every_row_in_its_documented_form() -> None:
    ledger = Ledger()
    row = ledger.open_row("file:///logs")
    row.receive(9)
    row.deliver(3)
    row.filter()
    row.sample()
    row.reject(1, "bad")
    row.drop(1, "shutdown")
    row.dead_letter()
    row.resend_unconfirmed(2)
    assert ledger.line_object() == {
        "type": "tailrace.ledger",
        "file:///logs": {
            "received": 9,
            "delivered": 3,
            "held": 1,
            "filtered": 1,
            "sampled": 1,
            "rejected": 1,
            "dropped": {"shutdown": 1},
            "deadLettered": 1,
            "resentUnconfirmed": 2,
        },
    }
    assert row.snapshot().rejected_reasons == {"bad": 1}


def test_refused_posts_have_a_row_of_their_own_from_the_first_one_on() -> None:
    ledger = Ledger()
    assert ledger.snapshot() == {}
    ledger.refuse("intake_full")
    ledger.refuse("intake_full")
    counts = ledger.snapshot()["refused"]
    assert (counts.received, counts.rejected, counts.held) == (2, 2, 0)


@pytest.mark.parametrize("booked", ["rejected_reasons", "dropped"])
def test_reasons_without_end_share_one_word_and_the_sum_holds(booked: str) -> None:
    row = Ledger().open_row("x")
    row.receive(4002)
    book = row.reject if booked == "rejected_reasons" else row.drop
    for n in range(2000):
        book(1, f"status 307: redirected to host{n}")
    for n in range(2001):
        book(1, f"status 307: redirected to host{n}")
    reasons = getattr(row.snapshot(), booked)
    assert len(reasons) == MAX_REASONS + 1
    assert reasons["status 307: redirected to host0"] == 2
    assert reasons[OTHER_REASONS] == 4001 - 2 * MAX_REASONS
    assert row.snapshot().received == row.snapshot().accounted


def test_a_snapshot_stands_still() -> None:
    row = Ledger().open_row("x")
    row.receive()
    before = row.snapshot()
    row.drop(1, "queue_full")
    assert (before.held, before.dropped) == (1, {})
