from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.pipeline_fakes import FakeLimits, seqs_of
from tailrace.pipeline.ledger import Ledger, LedgerRow
from tailrace.pipeline.messages import AUTHENTICATION, DELIVERED, PARTIAL, POISONED, REJECTED, RETRY, SPLIT, Outcome
from tailrace.pipeline.sending.batcher import Entry
from tailrace.pipeline.sending.notices import Notice
from tailrace.pipeline.sending.retry import Backoff
from tailrace.pipeline.sending.sender import Sender
from tailrace.pipeline.sending.settings import SenderSettings

TIME = "2026-11-20T21:00:00.000Z"


def a_sender(limits: FakeLimits | None = None, idempotent: bool = True, **settings: Any) -> tuple[Sender, LedgerRow]:
    row = Ledger().open_row("x")
    return Sender(row, limits or FakeLimits(), idempotent, SenderSettings(**settings)), row


def offer(sender: Sender, first: int, last: int, size: int = 10) -> list[bool]:
    return [offered(sender, size, seq)[0] for seq in range(first, last + 1)]


def offered(sender: Sender, size: int, seq: int, now_s: float = 0.0) -> tuple[bool, list[Notice]]:
    return sender.offered([Entry(b"x" * size, seq, TIME)], now_s, TIME)


def due(sender: Sender, now_s: float) -> list[int] | None:
    """Sequence numbers of the batch to send now."""
    step = sender.next_step(now_s)
    return None if step.sealed is None else seqs_of(step.sealed)


def test_full_batches_leave_at_once_and_the_rest_waits_for_its_age_or_a_flush() -> None:
    sender, _ = a_sender(FakeLimits(max_records=2), batch_max_age_s=10.0)
    assert offer(sender, 1, 3) == [True, True, False]
    assert due(sender, 0.0) == [1, 2]
    sender.replied(Outcome(DELIVERED), 0.0, 0.0)
    step = sender.next_step(0.0)
    assert (step.sealed, step.until_s) == (None, 10.0)
    assert due(sender, 10.0) == [3]


def test_the_thread_is_woken_for_the_first_record_and_for_a_full_batch_only() -> None:
    sender, _ = a_sender(FakeLimits(max_records=4))
    assert offer(sender, 1, 2) == [True, False]
    assert due(sender, 0.0) is None
    assert offer(sender, 3, 4) == [False, True]
    assert due(sender, 0.0) == [1, 2, 3, 4]


def test_a_batch_is_sent_again_as_it_is_until_it_has_an_outcome() -> None:
    sender, row = a_sender(backoff=Backoff(base_s=1.0))
    offer(sender, 1, 2)
    sender.flush()
    first = sender.next_step(0.0).sealed
    sender.not_connected("refused", 0.0, 0.5)
    offer(sender, 3, 3)
    sender.flush()
    assert sender.next_step(0.1).until_s == 0.5
    assert sender.next_step(0.5).sealed is first
    sender.replied(Outcome(DELIVERED), 0.5, 0.0)
    assert due(sender, 0.5) == [3]
    assert (row.snapshot().delivered, row.snapshot().held) == (2, 1)


def test_what_the_destination_asks_for_delays_the_next_attempt() -> None:
    sender, _ = a_sender()
    offer(sender, 1, 1)
    sender.flush()
    sender.replied(Outcome(RETRY, "slow down", retry_after_s=7.0), 0.0, 0.0)
    assert sender.next_step(6.9).until_s == 7.0
    assert due(sender, 7.0) == [1]


def test_a_batch_that_is_too_large_is_halved_down_to_the_record_that_is() -> None:
    sender, row = a_sender()
    offer(sender, 1, 4)
    sender.flush()
    sent = []
    said = []
    while (seqs := due(sender, 0.0)) is not None:
        sent.append(seqs)
        said += sender.replied(Outcome(SPLIT if 3 in seqs else DELIVERED), 0.0, 0.0)
    assert sent == [[1, 2, 3, 4], [1, 2], [3, 4], [3], [4]]
    counts = row.snapshot()
    assert (counts.delivered, counts.rejected_reasons, counts.held) == (3, {"too_large": 1}, 0)
    assert [n.fields["reason"] for n in said] == ["too_large"]


def test_rejected_records_are_counted_and_spoken_of_once_until_a_delivery() -> None:
    sender, row = a_sender(FakeLimits(max_records=1))
    offer(sender, 1, 4)
    kinds = [REJECTED, REJECTED, DELIVERED, REJECTED]
    said = []
    for kind in kinds:
        assert due(sender, 0.0) is not None
        said.append(len(sender.replied(Outcome(kind, "no such field"), 0.0, 0.0)))
    assert said == [1, 0, 0, 1]
    assert row.snapshot().rejected_reasons == {"no such field": 3}


def isolate(sender: Sender, poison: set[int], said: list[Notice] | None = None) -> int:
    """Answer until nothing is due, refusing every batch with a record of `poison` in it; how often was answered."""
    answers = 0
    while (seqs := due(sender, 0.0)) is not None:
        answers += 1
        notices = sender.replied(Outcome(POISONED if poison & {*seqs} else DELIVERED, "status 400"), 0.0, 0.0)
        if said is not None:
            said += notices
    return answers


def test_one_record_that_is_refused_takes_no_other_with_it() -> None:
    for poison in ({1}, {1000}, {1, 2}, {500, 900}, {333}):
        sender, row = a_sender()
        offer(sender, 1, 1000)
        sender.flush()
        isolate(sender, poison)
        counts = row.snapshot()
        assert (counts.delivered, counts.rejected_reasons) == (1000 - len(poison), {"status 400": len(poison)})


@pytest.mark.parametrize(
    ("n", "poison"),
    [
        (64, range(1, 21)),
        (64, range(23, 43)),
        (64, range(45, 65)),
        (64, range(1, 65, 2)),
        (64, range(2, 65)),
        (900, range(1, 201)),
        (900, range(401, 601)),
        (900, range(701, 901)),
        (900, range(1, 901, 2)),
        (900, [seq for seq in range(1, 901) if seq % 4]),
        (20, range(1, 21)),
    ],
)
def test_however_many_records_are_refused_and_wherever_they_lie_no_other_is(n: int, poison: Sequence[int]) -> None:
    sender, row = a_sender()
    offer(sender, 1, n)
    sender.flush()
    said: list[Notice] = []
    n_requests = isolate(sender, {*poison}, said)
    counts = row.snapshot()
    assert (counts.delivered, counts.rejected_reasons) == (n - len(poison), {"status 400": len(poison)})
    assert n_requests <= 2 * n
    assert [one.fields["records"] for one in said] == [len(poison)]


def test_after_a_fault_that_seemed_a_general_one_a_batch_is_not_given_up_for_one_record() -> None:
    sender, row = a_sender()
    offer(sender, 1, 1000)
    sender.flush()
    isolate(sender, {*range(1, 1001)})
    offer(sender, 1001, 2000)
    sender.flush()
    isolate(sender, {1001, 1500, 1999})
    assert (row.snapshot().delivered, row.snapshot().rejected) == (997, 1003)


def test_while_a_single_record_is_tried_first_nothing_before_it_counts_as_settled() -> None:
    sender, _ = a_sender()
    offer(sender, 1, 100)
    sender.flush()
    while (seqs := due(sender, 0.0)) is not None and seqs[0] < 60:
        sender.replied(Outcome(POISONED, "status 400"), 0.0, 0.0)
    assert seqs is not None
    assert len(seqs) == 1
    sender.replied(Outcome(DELIVERED), 0.0, 0.0)
    assert not sender.is_settled(100)
    isolate(sender, set())
    assert sender.is_settled(100)


def test_the_end_says_how_many_records_were_rejected_where_lines_did_not() -> None:
    sender, _ = a_sender(FakeLimits(max_records=2))
    offer(sender, 1, 6)
    while due(sender, 0.0) is not None:
        sender.replied(Outcome(REJECTED, "status 404"), 0.0, 0.0)
    assert [notice.fields["records"] for notice in sender.abandon()] == [6]
    sender, _ = a_sender(FakeLimits(max_records=2))
    offer(sender, 1, 2)
    assert due(sender, 0.0) is not None
    sender.replied(Outcome(REJECTED, "status 404"), 0.0, 0.0)
    assert sender.abandon() == []


def test_where_everything_is_refused_batches_are_not_taken_apart_for_ever() -> None:
    everything = {*range(1, 4001)}
    sender, row = a_sender()
    offer(sender, 1, 1000)
    sender.flush()
    assert isolate(sender, everything) == 57
    offer(sender, 1001, 2000)
    sender.flush()
    assert isolate(sender, everything) == 10
    assert row.snapshot().rejected_reasons == {"status 400": 2000}
    offer(sender, 2001, 2010)
    sender.flush()
    isolate(sender, set())
    offer(sender, 2011, 2020)
    sender.flush()
    isolate(sender, {2015})
    assert (row.snapshot().delivered, row.snapshot().rejected) == (19, 2001)


def test_a_queue_that_is_full_of_records_that_fill_no_request_sends_them_at_once() -> None:
    sender, row = a_sender(FakeLimits(max_bytes=1000), queue_max_bytes=1000)
    offer(sender, 1, 3, size=300)
    assert due(sender, 0.0) == [1]
    offer(sender, 4, 4, size=300)
    assert row.snapshot().dropped == {"queue_full": 1}


def test_a_record_larger_than_the_queue_gets_in_alone() -> None:
    sender, row = a_sender(queue_max_bytes=100)
    offer(sender, 1, 2, size=500)
    assert due(sender, 0.0) == [1]
    assert row.snapshot().dropped == {"queue_full": 1}


def test_refused_credentials_are_said_once_and_tried_again_slowly() -> None:
    sender, row = a_sender(slow_retry_s=30.0)
    offer(sender, 1, 1)
    sender.flush()
    said = sender.replied(Outcome(AUTHENTICATION, "InvalidAccessKeyId"), 0.0, 0.0)
    assert [n.fields["reason"] for n in said] == ["InvalidAccessKeyId"]
    assert sender.next_step(29.0).until_s == 30.0
    assert sender.replied(Outcome(AUTHENTICATION, "InvalidAccessKeyId"), 30.0, 0.0) == []
    assert not sender.availability.is_up
    assert row.snapshot().held == 1
    assert due(sender, 60.0) == [1]
    assert [n.level for n in sender.replied(Outcome(DELIVERED), 60.0, 0.0)] == ["info"]


def test_the_cause_is_said_even_when_a_wait_had_run_out_before() -> None:
    sender, _ = a_sender()
    offer(sender, 1, 1)
    sender.flush()
    assert len(sender.wait_expired(0.5)) == 1
    assert len(sender.not_built("no credentials", 1.0)) == 1
    assert sender.not_built("no credentials", 31.0) == []


def test_an_unknown_outcome_is_sent_again_and_counted_where_a_copy_may_be_left() -> None:
    for idempotent, counted in ((True, 0), (False, 4)):
        sender, row = a_sender(idempotent=idempotent)
        offer(sender, 1, 2)
        sender.flush()
        sender.no_reply("reset", 0.0, 0.0)  # may have arrived
        sender.not_connected("refused", 0.0, 0.0)  # nothing was sent again
        assert row.snapshot().resent_unconfirmed == 0
        sender.no_reply("reset", 0.0, 0.0)  # sent again
        sender.replied(Outcome(DELIVERED), 0.0, 0.0)  # and again
        counts = row.snapshot()
        assert (counts.delivered, counts.resent_unconfirmed) == (2, counted)


def test_a_known_refusal_after_an_unknown_outcome_makes_the_next_attempt_no_copy() -> None:
    sender, row = a_sender(idempotent=False)
    offer(sender, 1, 1)
    sender.flush()
    sender.no_reply("reset", 0.0, 0.0)
    sender.replied(Outcome(RETRY), 0.0, 0.0)
    sender.replied(Outcome(DELIVERED), 0.0, 0.0)
    assert row.snapshot().resent_unconfirmed == 1


def test_a_record_larger_than_any_request_is_rejected_and_its_neighbours_are_not() -> None:
    sender, row = a_sender(FakeLimits(max_bytes=50))
    offer(sender, 1, 1)
    assert [n.level for n in offered(sender, 50, 2)[1]] == ["warn"]
    assert offered(sender, 50, 3)[1] == []
    offer(sender, 4, 4)
    sender.flush()
    assert due(sender, 0.0) == [1, 4]
    assert row.snapshot().rejected_reasons == {"record_too_large": 2}


def test_memory_is_bounded_over_queue_and_batches_together_while_the_destination_is_down() -> None:
    sender, row = a_sender(FakeLimits(max_records=2), queue_max_bytes=50)
    said = []
    for seq in range(1, 9):
        said += offered(sender, 10, seq)[1]
        sender.next_step(0.0)
    assert len(said) == 1
    assert (row.snapshot().held, row.snapshot().dropped) == (5, {"queue_full": 3})
    sender.replied(Outcome(DELIVERED), 0.0, 0.0)
    offer(sender, 9, 11)
    assert (row.snapshot().held, row.snapshot().dropped) == (5, {"queue_full": 5})


def test_recovery_tells_what_was_lost_in_between() -> None:
    sender, _ = a_sender(queue_max_bytes=20)
    offer(sender, 1, 2)
    sender.flush()
    sender.not_connected("refused", 0.0, 0.0)
    offer(sender, 3, 5)
    said = sender.replied(Outcome(DELIVERED), 8.0, 0.0)
    assert [n.fields for n in said] == [
        {
            "destination": "x",
            "downForS": 8.0,
            "failedAttempts": 1,
            "reason": "refused",
            "heldRecords": 1,
            "droppedRecords": 3,
        }
    ]


def test_closing_forgets_pauses_and_ends_when_nothing_is_left() -> None:
    sender, _ = a_sender()
    offer(sender, 1, 1)
    sender.flush()
    for _ in range(9):
        sender.not_connected("refused", 0.0, 1.0)  # the breaker's pause is long by now
    sender.close(until_s=2.0)
    assert due(sender, 1.0) == [1]
    sender.replied(Outcome(RETRY), 1.0, 1.0)
    assert sender.next_step(1.0).until_s == 1.25
    assert due(sender, 1.5) == [1]
    sender.replied(Outcome(DELIVERED), 1.5, 0.0)
    assert sender.next_step(1.5).finished


def test_closing_leaves_a_destination_alone_for_as_long_as_it_asked_for() -> None:
    sender, row = a_sender()
    offer(sender, 1, 1)
    sender.flush()
    sender.replied(Outcome(RETRY, "429", retry_after_s=7.0), 0.0, 0.0)
    sender.close(until_s=60.0)
    assert sender.next_step(1.0).until_s == 7.0
    assert due(sender, 7.0) == [1]
    sender.replied(Outcome(RETRY, "429", retry_after_s=40.0), 7.0, 0.0)
    assert sender.next_step(46.9).until_s == 47.0
    assert due(sender, 47.0) == [1]
    sender.replied(Outcome(DELIVERED), 47.0, 0.0)
    assert sender.next_step(47.0).finished
    assert row.snapshot().delivered == 1


@pytest.mark.parametrize("asks_while_closing", [False, True])
@pytest.mark.parametrize(
    "outcome", [Outcome(RETRY, "429", retry_after_s=60.0), Outcome(PARTIAL, "429", 60.0, refused=[0], again=[1])]
)
def test_closing_waits_for_no_time_that_comes_after_the_end(asks_while_closing: bool, outcome: Outcome) -> None:
    sender, row = a_sender()
    offer(sender, 1, 2)
    sender.flush()
    if asks_while_closing:
        sender.close(until_s=2.0)
    assert due(sender, 0.0) == [1, 2]
    sender.replied(outcome, 0.0, 0.0)
    sender.close(until_s=2.0)
    assert sender.next_step(0.0).finished
    assert sender.next_express().finished
    sender.abandon()
    counts = row.snapshot()
    assert (counts.held, sum(counts.dropped.values()) + counts.rejected) == (0, 2)


def test_what_another_connection_has_on_its_way_is_seen_to_its_end() -> None:
    sender, _ = a_sender(FakeLimits(max_records=1))
    offer(sender, 1, 2)
    sender.make_haste(True)
    first = sender.next_step(0.0).sealed
    second = sender.next_express().sealed
    sender.close(until_s=2.0)
    sender.replied(Outcome(RETRY, "429", retry_after_s=60.0), 0.0, 0.0, first)
    assert not sender.next_step(0.0).finished
    sender.replied(Outcome(DELIVERED), 0.1, 0.0, second)
    assert due(sender, 0.1) == [1]  # it takes records again


def test_closing_gives_up_at_once_where_trying_again_cannot_help() -> None:
    sender, row = a_sender()
    offer(sender, 1, 2)
    sender.close()
    said = sender.not_built("no credentials", 0.0)
    assert sender.next_step(0.0).finished
    assert row.snapshot().dropped == {"shutdown": 2}
    assert [n.level for n in said] == ["warn", "error"]


def test_what_comes_after_the_end_is_counted_and_late_replies_change_nothing() -> None:
    sender, row = a_sender()
    offer(sender, 1, 2)
    sender.flush()
    assert due(sender, 0.0) == [1, 2]
    sender.abandon()
    assert sender.replied(Outcome(DELIVERED), 1.0, 0.0) == []
    assert sender.no_reply("reset", 1.0, 0.0) == []
    assert sender.not_connected("refused", 1.0, 0.0) == []
    offer(sender, 3, 3)
    assert sender.abandon() == []
    counts = row.snapshot()
    assert (counts.received, counts.dropped, counts.held) == (3, {"shutdown": 3}, 0)


FACTS = st.sampled_from(
    [
        "offer",
        "offer",
        "offer",
        "flush",
        "delivered",
        "retry",
        "split",
        "rejected",
        "poisoned",
        "auth",
        "refused",
        "reset",
        "broke",
    ]
)


@given(st.lists(FACTS, max_size=60), st.booleans(), st.integers(1, 5), st.integers(20, 200))
def test_whatever_happens_the_sum_holds_and_the_ledger_knows_what_lies_where(
    facts: list[str], idempotent: bool, max_records: int, queue_max_bytes: int
) -> None:
    sender, row = a_sender(FakeLimits(max_records, max_bytes=40), idempotent, queue_max_bytes=queue_max_bytes)
    now_s, seq, delivered = 0.0, 0, []
    kinds = {
        "delivered": DELIVERED,
        "retry": RETRY,
        "split": SPLIT,
        "poisoned": POISONED,
        "rejected": REJECTED,
        "auth": AUTHENTICATION,
    }
    for fact in facts:
        now_s += 40.0
        if fact == "offer":
            seq += 1
            offered(sender, (seq % 45), seq)
        elif fact == "flush":
            sender.flush()
        elif (step := sender.next_step(now_s)).sealed is not None:
            if fact in kinds:
                if fact == "delivered":
                    delivered += seqs_of(step.sealed)
                sender.replied(Outcome(kinds[fact], fact), now_s, 0.5)
            elif fact == "refused":
                sender.not_connected(fact, now_s, 0.5)
            elif fact == "reset":
                sender.no_reply(fact, now_s, 0.5)
            else:
                sender.broke(fact, now_s)
        counts = row.snapshot()
        assert counts.received == counts.accounted == seq
        assert counts.held == sender.held == sender.accepted - sender.settled
        assert counts.delivered == len(delivered)
    assert delivered == sorted(delivered)
    sender.abandon()
    assert row.snapshot().held == sender.held == 0
