"""Outcomes of single records: some taken and some not, cut to size, repeated for free, on a second connection."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.pipeline_fakes import FakeLimits, seqs_of
from tailrace.pipeline.ledger import Ledger, LedgerRow
from tailrace.pipeline.messages import AUTHENTICATION, DELIVERED, PARTIAL, RETRY, SPLIT, Outcome
from tailrace.pipeline.sealed import Sealed
from tailrace.pipeline.sending.batcher import Entry
from tailrace.pipeline.sending.sender import Sender
from tailrace.pipeline.sending.settings import SenderSettings

TIME = "2026-11-20T21:00:00.000Z"
WALL_S = 1_795_208_401.0  # a second after TIME


def shorten(data: bytes, max_bytes: int) -> bytes | None:
    return data[: max_bytes - 1] + b"!" if data.startswith(b"x") else None


def a_sender(
    n: int, size: int = 10, limits: FakeLimits | None = None, idempotent: bool = True, text: bytes = b"x", **more: Any
) -> tuple[Sender, LedgerRow]:
    """With `n` records in batches that are due."""
    row = Ledger().open_row("x")
    sender = Sender(row, limits or FakeLimits(), idempotent, SenderSettings(**more), shorten)
    sender.offered([Entry(text * size, seq, TIME) for seq in range(1, n + 1)], 0.0, TIME)
    sender.flush()
    return sender, row


def next_batch(sender: Sender, now_s: float = 0.0) -> Sealed:
    sealed = sender.next_step(now_s).sealed
    assert sealed is not None
    return sealed


def test_of_a_batch_that_is_taken_in_part_each_record_has_its_own_fate() -> None:
    sender, row = a_sender(6)
    outcome = Outcome(PARTIAL, "mapper_parsing_exception", retry_after_s=2.0, refused=[1, 3], again=[0, 5])
    notices = sender.replied(outcome, 0.0, 0.0, next_batch(sender), WALL_S)
    counts = row.snapshot()
    assert (counts.delivered, counts.rejected_reasons, counts.held) == (2, {"mapper_parsing_exception": 2}, 2)
    assert counts.ages.max_ms == 1000
    assert [n.message for n in notices] == ["destination rejects records"]
    assert sender.availability.is_up
    assert sender.next_step(1.9).until_s == 2.0
    again = next_batch(sender, 2.0)
    assert (seqs_of(again), again.batch.parts) == ([1, 6], [b"x" * 10] * 2)
    sender.replied(Outcome(DELIVERED), 2.0, 0.0)
    assert row.snapshot().delivered == 4
    assert sender.held == sender.held_bytes == 0


def test_where_every_record_is_to_come_again_the_batch_was_simply_not_taken() -> None:
    sender, row = a_sender(2)
    notices = sender.replied(Outcome(PARTIAL, "throttled", again=[0, 1]), 0.0, 0.0)
    assert [n.level for n in notices] == ["warn"]
    assert not sender.availability.is_up
    assert row.snapshot().held == 2


@given(st.sets(st.integers(-2, 12)), st.sets(st.integers(-2, 12)))
def test_whatever_places_a_reply_names_the_sum_holds(refused: set[int], again: set[int]) -> None:
    sender, row = a_sender(9)
    for _ in range(3):
        if (sealed := sender.next_step(1e9).sealed) is None:
            break
        sender.replied(Outcome(PARTIAL, "x", refused=refused, again=again), 0.0, 0.0, sealed)
        counts = row.snapshot()
        assert counts.accounted == counts.received == 9
        assert counts.held == sender.held == sender.accepted - sender.settled


def test_a_record_larger_than_any_request_is_cut_and_counted_instead_of_lost() -> None:
    sender, row = a_sender(2, size=100, limits=FakeLimits(max_bytes=51))
    assert next_batch(sender).batch.parts == [b"x" * 49 + b"!"]
    counts = row.snapshot()
    assert (counts.truncated, counts.rejected, counts.held) == (2, 0, 2)


def test_records_that_are_cut_to_the_size_of_a_request_are_said_once() -> None:
    sender, _ = a_sender(0, limits=FakeLimits(max_bytes=51))
    said = []
    for seq in range(1, 4):
        said += sender.offered([Entry(b"x" * 100, seq, TIME)], 0.0, TIME)[1]
        sender.flush()
        sender.replied(Outcome(DELIVERED), 0.0, 0.0, next_batch(sender))
    assert [(notice.message, notice.fields["maxBytes"]) for notice in said] == [
        ("records are larger than a request may be and were cut", 51)
    ]


def test_a_record_that_is_refused_for_its_size_even_alone_is_cut_until_it_is_taken() -> None:
    sender, row = a_sender(2, size=10_000)
    sent, said = [], []
    while (sealed := sender.next_step(0.0).sealed) is not None:
        sent.append(sealed.batch.n_bytes)
        outcome = Outcome(SPLIT if sealed.batch.n_bytes > 3000 else DELIVERED)
        said += sender.replied(outcome, 0.0, 0.0, sealed)
    assert sent == [20_000, 10_000, 5000, 2500, 10_000, 5000, 2500]
    counts = row.snapshot()
    assert (counts.delivered, counts.truncated, counts.rejected) == (2, 2, 0)
    assert sender.held_bytes == 0
    sizes = {"recordBytes": 10_000, "refusedBytes": 5000, "takenBytes": 2500}
    assert [notice.fields for notice in said] == [{"destination": "x", **sizes}]


def test_a_record_that_cannot_be_cut_or_is_never_small_enough_is_rejected_by_name() -> None:
    for text in (b"x", b"y"):
        sender, row = a_sender(1, size=10_000, text=text)
        said = []
        while (sealed := sender.next_step(0.0).sealed) is not None:
            said += sender.replied(Outcome(SPLIT), 0.0, 0.0, sealed)
        counts = row.snapshot()
        assert (counts.rejected_reasons, counts.truncated) == ({"too_large": 1}, 0)
        least = 1250 if text == b"x" else 10_000
        sizes = {"recordBytes": 10_000, "refusedBytes": least}
        assert [n.fields for n in said] == [{"destination": "x", "reason": "too_large", "records": 1, **sizes}]


def test_the_first_reset_of_a_kept_connection_is_repeated_at_once_and_is_no_failure() -> None:
    sender, row = a_sender(1, idempotent=False)
    assert sender.no_reply("reset", 0.0, 0.9, next_batch(sender), is_stale=True) == []
    was_up = [sender.availability.is_up]
    again = next_batch(sender, 0.0)
    assert [n.level for n in sender.no_reply("reset", 0.0, 0.9, again, is_stale=True)] == ["warn"]
    was_up.append(sender.availability.is_up)
    assert was_up == [True, False]
    sender.replied(Outcome(DELIVERED), 9.0, 0.0)
    assert row.snapshot().resent_unconfirmed == 2


def test_each_of_two_batches_on_kept_connections_that_died_is_repeated_for_free() -> None:
    sender, _ = a_sender(2, limits=FakeLimits(max_records=1))
    sender.make_haste(True)
    first = next_batch(sender)
    second = sender.next_express().sealed
    assert second is not None
    assert sender.no_reply("reset", 0.0, 0.9, first, is_stale=True) == []
    assert sender.no_reply("reset", 0.0, 0.9, second, is_stale=True) == []
    assert sender.availability.is_up
    assert next_batch(sender) is first
    sender.replied(Outcome(DELIVERED), 0.0, 0.0, first)
    assert [n.level for n in sender.no_reply("reset", 0.0, 0.9, next_batch(sender), is_stale=True)] == ["warn"]


def test_a_fault_counts_a_repetition_where_the_request_may_have_left_and_only_there() -> None:
    for was_built, counted in ((True, 4), (False, 0)):
        sender, row = a_sender(2, idempotent=False)
        sender.broke("fault", 0.0, 0.0, next_batch(sender), was_built=was_built)
        assert row.snapshot().resent_unconfirmed == 0
        sender.broke("fault", 40.0, 0.0, next_batch(sender, 40.0), was_built=was_built)
        sender.replied(Outcome(DELIVERED), 80.0, 0.0, next_batch(sender, 80.0))
        assert row.snapshot().resent_unconfirmed == counted


def test_a_second_connection_has_work_only_while_somebody_waits_for_a_wire_that_is_taken() -> None:
    sender, _ = a_sender(4, limits=FakeLimits(max_records=2))
    assert sender.next_express().sealed is None
    sender.make_haste(True)
    wanted = [sender.wants_express]
    first = next_batch(sender)
    sender.written(first)
    wanted.append(sender.wants_express)
    second = sender.next_express().sealed
    assert second is not None
    assert (seqs_of(first), seqs_of(second)) == ([1, 2], [3, 4])
    wanted.append(sender.wants_express)
    assert wanted == [False, True, False]
    assert sender.is_written(2)
    assert not sender.is_written(4)
    sender.written(second)
    assert sender.is_written(4)
    sender.replied(Outcome(DELIVERED), 0.0, 0.0, second)
    assert (sender.is_settled(2), sender.is_settled(4), sender.is_written(4)) == (False, False, True)
    sender.replied(Outcome(DELIVERED), 0.0, 0.0, first)
    assert sender.is_settled(4)


def test_a_second_connection_never_probes_and_what_failed_on_it_comes_back_to_the_first() -> None:
    sender, row = a_sender(6, limits=FakeLimits(max_records=2))
    sender.make_haste(True)
    first = next_batch(sender)
    second = sender.next_express().sealed
    assert second is not None
    sender.replied(Outcome(RETRY, "503"), 0.0, 0.0, second)
    assert not sender.wants_express
    assert sender.next_express().sealed is None
    sender.replied(Outcome(DELIVERED), 0.0, 0.0, first)
    assert next_batch(sender) is second
    sender.replied(Outcome(AUTHENTICATION, "401"), 0.0, 0.0, second)
    assert row.snapshot().held == 4


def test_a_late_fact_about_a_batch_that_has_its_outcome_changes_nothing() -> None:
    sender, row = a_sender(2)
    sealed = next_batch(sender)
    sender.replied(Outcome(DELIVERED), 0.0, 0.0, sealed)
    assert sender.replied(Outcome(DELIVERED), 0.0, 0.0, sealed) == []
    assert sender.no_reply("reset", 0.0, 0.0, sealed) == []
    assert (row.snapshot().delivered, sender.availability.is_up) == (2, True)
