"""Sending envelopes again: exactly what is left, whatever the destination answers and wherever it was interrupted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.dead_letters import RESOURCE, ScriptedEnd, courier_with, letter, lines, write_letters
from tailrace.errors import ConnectError, NoReplyError, TransportError, UsageError
from tailrace.pipeline.dead_letters.envelope import Letter, envelope_line
from tailrace.pipeline.messages import PARTIAL, RETRY, Outcome
from tailrace.replay.envelope import Envelope, read_envelope
from tailrace.replay.patience import MAX_ATTEMPTS
from tailrace.replay.places import FolderPlace
from tailrace.replay.replay import (
    CONFIRMED,
    DELIVERED,
    NO_TARGET,
    NOT_SENT,
    PENDING,
    REFUSED,
    Replay,
)
from tailrace.replay.selection import Selection
from tailrace.replay.state import Confirmations, StateError, default_state_path
from tailrace.replay.targets import Target, Targets


def envelope(first: int = 1, last: int = 3) -> Envelope:
    found = read_envelope(envelope_line(letter(first, last), RESOURCE), "here")
    assert found is not None
    return found


@pytest.fixture
def confirmed(tmp_path: Path) -> Iterator[Confirmations]:
    with Confirmations(tmp_path / "state", "file:///dead") as confirmed:
        yield confirmed


def test_an_envelope_goes_out_as_the_batch_that_it_was(confirmed: Confirmations) -> None:
    end = ScriptedEnd()
    delivery = courier_with(confirmed).deliver(envelope(), end.target)
    assert (delivery.delivered, delivery.refused, delivery.stopped) == (3, 0, "")
    ((batch, resource),) = end.requests
    assert (batch.parts, batch.first_seq, batch.last_seq) == (lines(1, 3), 1, 3)
    assert (resource.function_name, resource.environment_id) == ("shop", "env1")
    assert confirmed.has_all(envelope().key, end.name)


def test_what_may_pass_is_tried_again_with_pauses(confirmed: Confirmations) -> None:
    answers: list[int | Outcome | TransportError] = [
        503,
        ConnectError("refused"),
        NoReplyError("reset"),
        Outcome(RETRY, "later", 7.0),
        200,
    ]
    end, pauses, told = ScriptedEnd(lambda _: answers.pop(0)), list[float](), list[str]()
    delivery = courier_with(confirmed, pauses, told).deliver(envelope(), end.target)
    assert delivery.delivered == 3
    assert pauses == [0.25, 0.5, 1.0, 7.0]
    assert told == [
        f"{end.name}: status 503 (attempt 1 of 5), the next in 0.2 s",
        f"{end.name}: refused (attempt 2 of 5), the next in 0.5 s",
        f"{end.name}: reset (attempt 3 of 5), the next in 1.0 s",
        f"{end.name}: later (attempt 4 of 5), the next in 7.0 s",
    ]
    assert len({id(batch.parts) for batch, _ in end.requests}) == 1


@pytest.mark.parametrize(("answer", "attempts", "reason"), [(503, MAX_ATTEMPTS, "status 503"), (401, 1, "status 401")])
def test_a_destination_that_takes_nothing_stops_the_replay(
    confirmed: Confirmations, answer: int, attempts: int, reason: str
) -> None:
    end = ScriptedEnd(lambda _: answer)
    delivery = courier_with(confirmed).deliver(envelope(), end.target)
    assert (delivery.delivered, delivery.refused, delivery.stopped) == (0, 0, reason)
    assert len(end.requests) == attempts
    assert not confirmed.has_all(envelope().key, end.name)


def test_a_closed_pipe_is_tried_again_only_where_it_is_a_connection(confirmed: Confirmations) -> None:
    broken = ConnectError("broken pipe")
    broken.__cause__ = BrokenPipeError(32, "Broken pipe")
    end = ScriptedEnd(lambda _: broken)
    pipe = Target("stdout:", end.target.destination, end.target.transport)
    assert courier_with(confirmed).deliver(envelope(), pipe).stopped == "broken pipe"
    assert len(end.requests) == 1
    assert courier_with(confirmed).deliver(envelope(), end.target).stopped == "broken pipe"
    assert len(end.requests) == 1 + MAX_ATTEMPTS


@pytest.mark.parametrize("answer", [400, 413])
def test_a_record_that_is_refused_or_too_large_does_not_take_the_others_with_it(
    confirmed: Confirmations, answer: int
) -> None:
    bad = lines(4, 4)[0]
    end = ScriptedEnd(lambda parts: answer if bad in parts else 200)
    delivery = courier_with(confirmed).deliver(envelope(1, 7), end.target)
    assert (delivery.delivered, delivery.refused, delivery.refusals) == (6, 1, [f"status {answer}"])
    assert end.taken == lines(1, 3) + lines(5, 7)
    # the next replay sends no more than what was refused
    end.answer, end.taken = (lambda _: 200), []
    assert courier_with(confirmed).deliver(envelope(1, 7), end.target).delivered == 1
    assert end.taken == [bad]
    assert courier_with(confirmed).is_delivered(envelope(1, 7), end.target)


def test_of_what_is_taken_in_part_only_the_rest_goes_again(confirmed: Confirmations) -> None:
    answers: list[int | Outcome] = [Outcome(PARTIAL, "busy", refused=[0, 99], again=[2, 3]), 200]
    end = ScriptedEnd(lambda _: answers.pop(0))
    delivery = courier_with(confirmed).deliver(envelope(1, 4), end.target)
    assert (delivery.delivered, delivery.refused) == (3, 1)
    assert [batch.parts for batch, _ in end.requests] == [lines(1, 4), lines(3, 4)]
    assert [(batch.first_seq, batch.last_seq) for batch, _ in end.requests] == [(1, 4), (3, 4)]


def test_where_all_records_are_to_come_again_nothing_is_asked_for_ever(confirmed: Confirmations) -> None:
    end = ScriptedEnd(lambda parts: Outcome(PARTIAL, "busy", again=range(len(parts))))
    assert courier_with(confirmed).deliver(envelope(), end.target).stopped == "busy"
    assert len(end.requests) == 1


class _Killed(BaseException):
    """Stands for kill -9: nothing handles it."""


@settings(deadline=None, max_examples=40)  # every confirmation is brought to the disk
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_killed_anywhere_and_run_again_every_record_arrives_and_no_confirmed_one_twice(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n: int
) -> None:
    draw = random.Random(seed)
    folder = tmp_path_factory.mktemp("kills")
    bad = {line for line in lines(1, n) if draw.random() < 0.3}
    arrived: list[bytes] = []
    unsure: set[bytes] = set()

    def answer(parts: list[bytes]) -> int:
        if draw.random() < 0.2:
            raise _Killed
        if draw.random() < 0.3:
            return 413 if len(parts) > 1 else 503
        if bad.intersection(parts) and draw.random() < 0.8:
            return 400
        arrived.extend(parts)
        if draw.random() < 0.2:
            unsure.update(parts)  # taken, but the answer never came
            raise _Killed
        return 200

    for _ in range(400):
        with Confirmations(folder / "state", "file:///dead") as confirmed:
            end = ScriptedEnd(answer)
            try:
                courier_with(confirmed).deliver(envelope(1, n), end.target)
            except _Killed:
                continue
            if courier_with(confirmed).is_delivered(envelope(1, n), end.target):
                break
    else:
        raise AssertionError("it never came to an end")
    assert set(arrived) == set(lines(1, n))
    assert all(arrived.count(line) == 1 for line in arrived if line not in unsure)


def test_confirmations_outlive_the_process_and_a_cut_last_line(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state"
    with Confirmations(path, "file:///dead") as confirmed:
        confirmed.confirm("a", "x", None)
        confirmed.confirm("b", "x", [0, 2])
        confirmed.confirm("b", "x", [5])
    whole = path.read_bytes()
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        with Confirmations(path, "file:///dead") as again:
            assert again.has_all("a", "x") == (whole[:end].count(b"\n") >= 2 or whole[:end].endswith(b'"all"}'))
            again.confirm("c", "x", None)
        with Confirmations(path, "file:///dead", is_kept=False) as third:
            assert third.has_all("c", "x")
            assert not third.has_all("a", "y")
    path.write_bytes(whole)
    with Confirmations(path, "file:///dead") as last:
        assert last.taken("b", "x") == {0, 2, 5}
        assert last.taken("a", "x") == last.taken("unknown", "x") == frozenset()


def test_two_replays_of_one_place_do_not_meet(tmp_path: Path) -> None:
    with (
        Confirmations(tmp_path / "state", "file:///dead"),
        pytest.raises(StateError, match="another replay of file:///dead is running"),
    ):
        Confirmations(tmp_path / "state", "file:///dead")


def test_a_state_file_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("my diary\n")
    with pytest.raises(UsageError, match="something else"):
        Confirmations(tmp_path / "state", "file:///dead")
    assert (tmp_path / "state").read_text() == "my diary\n"


def test_a_state_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="where confirmed envelopes are noted, cannot be used: not a directory"):
        Confirmations(tmp_path / "file" / "deep" / "state", "file:///dead")


def test_looking_only_writes_nothing(tmp_path: Path) -> None:
    with Confirmations(tmp_path / "state", "file:///dead", is_kept=False) as confirmed:
        confirmed.confirm("a", "x", None)
    assert not (tmp_path / "state").exists()


def test_each_place_has_a_state_of_its_own(tmp_path: Path) -> None:
    own = default_state_path("file:///dead", {"XDG_STATE_HOME": str(tmp_path)})
    assert own.is_relative_to(tmp_path)
    assert own != default_state_path("file:///other", {"XDG_STATE_HOME": str(tmp_path)})
    assert default_state_path("x", {"XDG_STATE_HOME": "relative"}).is_relative_to(Path.home())


class OneTarget(Targets):
    """Hands out one destination, for its own name or for all."""

    def __init__(self, end: ScriptedEnd, only: str | None = None) -> None:
        self._end = end
        self._name = only

    def of(self, destination: str) -> Target | None:
        return self._end.target if self._name in (None, destination) else None

    def cannot_tell(self, envelope: Envelope) -> bool:
        return False


def statuses(
    folder: Path,
    end: ScriptedEnd,
    confirmed: Confirmations,
    sends: bool = True,
    only: str | None = None,
    **wanted: Any,
) -> tuple[list[str], Replay]:
    place = FolderPlace(folder)
    selection = Selection(**wanted)
    replay = Replay(place, selection, OneTarget(end, only), courier_with(confirmed), sends, lambda file: None)
    return [one.status for one in replay.run(list(place.files()))], replay


def two_files(folder: Path, *more: Letter) -> Path:
    write_letters(folder / "a.ndjson", letter(1, 3), letter(4, 4, reason="shutdown", error=""))
    write_letters(folder / "b.ndjson", letter(5, 6, request_id="r2", destination="http://other"), *more)
    return folder


def test_a_second_replay_sends_nothing_and_a_file_that_grew_is_read_on(
    tmp_path: Path, confirmed: Confirmations
) -> None:
    folder, end = two_files(tmp_path / "dead"), ScriptedEnd()
    assert statuses(folder, end, confirmed)[0] == [DELIVERED] * 3
    assert statuses(folder, end, confirmed)[0] == [CONFIRMED] * 3
    two_files(folder, letter(7, 9))
    found, replay = statuses(folder, end, confirmed)
    assert found == [CONFIRMED] * 3 + [DELIVERED]
    assert end.taken == lines(1, 4) + lines(5, 6, "r2") + lines(7, 9)
    assert (replay.figures.delivered_records, replay.figures.is_complete) == (3, True)


def test_looking_sends_nothing(tmp_path: Path, confirmed: Confirmations) -> None:
    end = ScriptedEnd()
    assert statuses(two_files(tmp_path / "dead"), end, confirmed, sends=False)[0] == [PENDING] * 3
    assert end.requests == []


def test_one_that_takes_nothing_is_not_asked_for_every_envelope(tmp_path: Path, confirmed: Confirmations) -> None:
    end = ScriptedEnd(lambda _: 401)
    found, replay = statuses(two_files(tmp_path / "dead"), end, confirmed)
    assert found == [NOT_SENT] * 3
    assert len(end.requests) == 1
    assert not replay.figures.is_complete
    assert replay.figures.problems == [f"{end.name} takes nothing now: status 401; run the same command again to go on"]


def test_what_is_refused_again_and_what_has_no_destination_is_left(tmp_path: Path, confirmed: Confirmations) -> None:
    end = ScriptedEnd(lambda _: 404)
    found, replay = statuses(two_files(tmp_path / "dead"), end, confirmed, only=end.name)
    assert found == [REFUSED, REFUSED, NO_TARGET]
    assert replay.figures.problems[0] == f"{end.name} refuses records: status 404"
    assert "no destination of the name http://other is set up here" in replay.figures.problems[1]
    assert not replay.figures.is_complete


def test_the_same_envelope_in_two_files_is_one(tmp_path: Path, confirmed: Confirmations) -> None:
    folder = two_files(tmp_path / "dead")
    write_letters(folder / "copy.ndjson", letter(1, 3))
    found, replay = statuses(folder, ScriptedEnd(), confirmed)
    assert found == [DELIVERED] * 3
    assert (replay.figures.copies, replay.figures.envelopes, replay.figures.waiting) == (1, 4, 0)


@pytest.mark.parametrize(
    ("wanted", "n"),
    [
        ({"reasons": ("shutdown",)}, 1),
        ({"reasons": ("status 404",)}, 2),
        ({"reasons": ("Status",)}, 2),
        ({"reasons": ("eject",)}, 0),
        ({"reasons": ("rejected", "shutdown")}, 3),
        ({"destinations": ("http://other",)}, 1),
        ({"functions": ("shop",)}, 3),
        ({"functions": ("other",)}, 0),
        ({"request_ids": ("r2", "r3")}, 1),
        ({"since_ms": 1_795_210_200_000}, 3),
        ({"since_ms": 1_795_210_200_001}, 0),
        ({"until_ms": 1_795_210_200_001}, 3),
        ({"until_ms": 1_795_210_200_000}, 0),
        ({"reasons": ("status 404",), "request_ids": ("r2",)}, 1),
    ],
)
def test_only_what_is_wanted_is_sent(tmp_path: Path, confirmed: Confirmations, wanted: dict[str, Any], n: int) -> None:
    assert len(statuses(two_files(tmp_path / "dead"), ScriptedEnd(), confirmed, **wanted)[0]) == n
