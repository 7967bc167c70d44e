"""Letters on their way to the dead letter destination: booked when it has taken them, and never otherwise."""

from __future__ import annotations

import json
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from support.dead_letters import RESOURCE, letter
from support.pipeline_fakes import FakeDestination, FakeLimits, FakeTransport, Told
from tailrace.clock import SystemClock
from tailrace.errors import ConfigError, ConnectError, NoReplyError
from tailrace.pipeline.dead_letters.box import LINGER_S, LetterBox
from tailrace.pipeline.dead_letters.envelope import Letter
from tailrace.pipeline.dead_letters.writer import MAX_ATTEMPTS, DeadLetters
from tailrace.pipeline.ledger import Ledger, LedgerRow
from tailrace.pipeline.sending.batcher import Entry, pack
from tailrace.pipeline.sending.retry import Backoff
from tailrace.pipeline.surroundings import Surroundings

LIMIT_S = 20.0


class Post:
    """Dead letters with everything around them, running until the end of the block."""

    def __init__(self, transport: FakeTransport | None = None, max_bytes: int = 1_000_000) -> None:
        self.clock = SystemClock()
        self.transport = transport or FakeTransport()
        self.destination = FakeDestination("file:///dead")
        self.told = Told()
        self.row = Ledger().open_row("http://logs.example/in")
        self.threads: list[threading.Thread] = []
        self.are_threads_out = False
        self.letters = DeadLetters(
            self.destination, self.transport, Surroundings(RESOURCE, self.clock, lambda: 0.0, self.told), max_bytes,
            Backoff(0.001, 0.001),
        )  # fmt: skip
        self.letters.start(self._spawn)

    def _spawn(self, run: object) -> None:
        if self.are_threads_out:
            raise RuntimeError("can't start new thread")
        thread = threading.Thread(target=run)  # type: ignore[arg-type]  # what it is given runs without arguments
        self.threads.append(thread)
        thread.start()

    def take(self, first: int, last: int) -> None:
        self.row.receive(last - first + 1)
        self.letters.take(letter(first, last, row=self.row))

    def close(self, wait_s: float = LIMIT_S) -> None:
        self.letters.close(self.clock.monotonic_s() + wait_s)
        self.transport.gate.set()
        for thread in self.threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive()
        counts = self.row.snapshot()
        assert counts.received == counts.accounted
        assert counts.held == 0

    def messages(self) -> list[str]:
        return [message for _, message, _ in self.told.lines]


def test_without_a_letter_there_is_no_thread() -> None:
    post = Post()
    post.close()
    assert post.threads == []
    assert post.transport.sent == []


def test_where_no_thread_is_to_be_had_the_next_letter_asks_again() -> None:
    post = Post()
    post.are_threads_out = True
    post.take(1, 1)
    post.are_threads_out = False
    post.take(2, 2)
    post.close()
    assert (len(post.threads), post.row.snapshot().dead_lettered) == (1, 2)


def test_where_no_thread_is_ever_to_be_had_the_end_does_not_wait_for_one() -> None:
    post = Post()
    post.are_threads_out = True
    post.take(1, 1)
    began_s = post.clock.monotonic_s()
    post.close()
    assert post.clock.monotonic_s() - began_s < LIMIT_S  # it had all of that to wait
    assert post.row.snapshot().dropped == {"rejected, dead_letter_shutdown": 1}


def test_letters_of_one_burst_share_a_request_and_are_booked_when_it_is_taken() -> None:
    post = Post()
    post.transport.gate.clear()
    post.take(1, 3)
    post.take(4, 5)
    assert post.row.snapshot().held == 5
    assert post.row.snapshot().dead_lettered == 0
    post.transport.gate.set()
    post.close()
    assert post.row.snapshot().dead_lettered == 5
    assert [json.loads(line)["recordCount"] for line in post.transport.lines] == [3, 2]
    assert [request.target for request in post.transport.sent] == ["/1-2"]
    assert post.told.lines == []


def test_what_fails_for_a_while_is_sent_again_as_it_was_and_told_once() -> None:
    post = Post(FakeTransport([503, ConnectError("refused"), NoReplyError("reset"), 401]))
    post.take(1, 3)
    post.close()
    assert post.row.snapshot().dead_lettered == 3
    assert len({(request.target, request.body) for request in post.transport.sent}) == 1
    assert len(post.transport.sent) == 5
    assert post.messages() == [
        "dead letter destination takes nothing now; undeliverable records are kept for a while",
        "dead letter destination answers again",
    ]


def test_a_dead_one_is_given_up_after_some_attempts_and_both_reasons_are_told() -> None:
    transport = FakeTransport()
    transport.always = ConnectError("connection refused")
    post = Post(transport)
    post.take(1, 3)
    while post.row.snapshot().held:
        post.threads[0].join(0.01)
    post.close()
    assert len(transport.sent) == MAX_ATTEMPTS
    assert post.row.snapshot().dropped == {"rejected, dead_letter_failed": 3}
    level, message, fields = post.told.lines[-1]
    assert (level, message) == (
        "error",
        "undeliverable records could not be written to the dead letter destination and are lost",
    )
    assert (fields["reason"], fields["undeliverableBecause"]) == ("connection refused", "status 404")
    assert fields["droppedRecords"] == 3


def test_one_that_refuses_is_not_asked_again() -> None:
    post = Post(FakeTransport([400]))
    post.take(1, 3)
    post.close()
    assert len(post.transport.sent) == 1
    assert post.row.snapshot().dropped == {"rejected, dead_letter_refused": 3}


def test_a_fault_of_ours_counts_as_a_failure_not_as_a_dead_thread() -> None:
    post = Post()
    post.destination.build_error = RuntimeError("secret")
    post.take(1, 1)
    post.close()
    assert post.row.snapshot().dropped == {"rejected, dead_letter_failed": 1}
    assert "secret" not in repr(post.told.lines)


def test_missing_credentials_are_told_as_they_are() -> None:
    post = Post()
    post.destination.build_error = ConfigError("AWS credentials", "none are set", "set them")
    post.take(1, 1)
    post.close()
    assert "AWS credentials: none are set; set them" in [fields["reason"] for _, _, fields in post.told.lines]


def test_where_there_is_no_room_the_newest_are_dropped() -> None:
    post = Post(max_bytes=150)
    post.transport.gate.clear()
    post.take(1, 3)
    post.take(4, 6)
    assert post.row.snapshot().dropped == {"rejected, dead_letter_full": 3}
    post.transport.gate.set()
    post.close()
    assert post.row.snapshot().dead_lettered == 3


def test_at_the_end_nothing_waits_longer_than_it_may_and_nothing_is_held() -> None:
    post = Post()
    post.transport.gate.clear()
    post.take(1, 3)
    assert post.transport.entered.wait(LIMIT_S)
    post.take(4, 6)
    post.close(wait_s=0.01)
    assert post.row.snapshot().dropped == {"rejected, dead_letter_shutdown": 6}
    post.row.receive()
    post.letters.take(letter(7, 7, row=post.row))
    assert post.row.snapshot().dropped["rejected, dead_letter_shutdown"] == 7


def test_a_sender_hands_over_batches_with_what_was_tried() -> None:
    post = Post()
    post.row.receive(2)
    sealed = pack([Entry(b'{"seq":7}', 7, ""), Entry(b'{"seq":9}', 9, "")], FakeLimits(), "2026-11-20T21:00:00.000Z")
    sealed[0].trials.begun(1_795_210_200.0)
    sealed[0].trials.begun(1_795_210_201.5)
    post.letters.of(post.row, "http://logs.example/in?key=***")(sealed, "queue_full", "status 503")
    post.close()
    (line,) = post.transport.lines
    envelope = json.loads(line)
    written = envelope.pop("time")
    assert written.endswith("Z")
    assert envelope == {
        "type": "tailrace.deadLetter",
        "version": 1,
        "destination": "http://logs.example/in?key=***",
        "reason": "queue_full",
        "error": "status 503",
        "attempts": 2,
        "firstAttemptTime": "2026-11-20T21:30:00.000Z",
        "lastAttemptTime": "2026-11-20T21:30:01.500Z",
        "functionName": "shop",
        "functionVersion": "7",
        "environmentId": "env1",
        "requestIds": [],
        "firstSeq": 7,
        "lastSeq": 9,
        "start": "2026-11-20T21:00:00.000Z",
        "idempotencyKey": envelope["idempotencyKey"],
        "recordCount": 2,
        "records": ['{"seq":7}', '{"seq":9}'],
    }


def own_row(n: int) -> LedgerRow:
    row = Ledger().open_row("x")
    row.receive(n)
    return row


@settings(deadline=None)
@given(st.lists(st.sampled_from(["put", "send", "postpone", "done"]), max_size=60), st.integers(50, 400))
def test_a_box_is_bounded_and_gives_every_letter_once_in_order(steps: list[str], max_bytes: int) -> None:
    box, now_s, seq = LetterBox(max_bytes, 300), 0.0, 0
    put: list[Letter] = []
    got: list[Letter] = []
    numbers: list[int] = []
    for step in steps:
        now_s += 1.0
        if step == "put":
            seq += 1
            one = letter(seq, seq, row=own_row(1))
            put += [one] if box.put(one, now_s) else []
        elif step == "send":
            posting, _ = box.next_posting(now_s, now_s)
            numbers += [posting.number] if posting is not None and posting.number not in numbers else []
        elif box.posting is not None:
            if step == "postpone":
                box.postpone(now_s + 0.5)
            else:
                got += box.done(now_s)
        assert box.held_bytes <= max(max_bytes, put[-1].n_bytes if put else 0)
    assert numbers == sorted(set(numbers))
    assert got + box.empty() == put
    assert not box
    assert box.held_bytes == 0


def test_a_first_letter_waits_a_moment_for_others() -> None:
    box = LetterBox(1000, 1000)
    assert box.next_posting(0.0, 0.0) == (None, None)
    assert box.put(letter(1, 1), 5.0)
    assert box.next_posting(5.0, 0.0) == (None, 5.0 + LINGER_S)
    box.end()
    posting, _ = box.next_posting(5.0, 0.0)
    assert posting is not None
    assert posting.attempts == 1


def test_letters_of_two_environments_lie_in_two_objects() -> None:
    """A snapshot's copies take names of their own."""
    box = LetterBox(1000, 1000)
    other = letter(2, 2)
    other.environment_id = "env2"
    box.put(letter(1, 1), 0.0)
    box.put(other, 0.0)
    posting, _ = box.next_posting(9.0, 0.0)
    assert posting is not None
    assert [one.environment_id for one in posting.letters] == ["env1"]
