"""The pieces of an envelope: whatever is refused and whenever the replay is killed, a server that knows the names of
pieces stores each record once."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.dead_letters import RESOURCE, ScriptedEnd, courier_with, letter, lines
from tailrace.pipeline.dead_letters.envelope import envelope_line
from tailrace.pipeline.identity import batch_id
from tailrace.pipeline.messages import PARTIAL, Outcome
from tailrace.replay.courier import Delivery
from tailrace.replay.envelope import Envelope, read_envelope
from tailrace.replay.pieces import Piece, next_piece
from tailrace.replay.state import Confirmations


class _Killed(BaseException):
    """Stands for kill -9: nothing handles it."""


class KeyedServer:
    """Stores what comes under a name once, and knows the name from then on. `refuses` says 400, 413 or nothing about
    the records of a request; `kill` is asked before and after each request is taken in."""

    def __init__(self, refuses: Callable[[list[bytes]], int], kill: Callable[[], bool]) -> None:
        self.stored: dict[str, list[bytes]] = {}
        self.refuses = refuses
        self.kill = kill
        self.end = ScriptedEnd(self._answer)

    @property
    def records(self) -> list[bytes]:
        return [record for records in self.stored.values() for record in records]

    def _answer(self, parts: list[bytes]) -> int:
        if self.kill():
            raise _Killed
        batch, resource = self.end.requests[-1]
        key = batch_id(batch, resource.environment_id)
        status = 200 if key in self.stored else self.refuses(parts) or 200
        if status == 200:
            assert self.stored.setdefault(key, parts) == parts
        if self.kill():
            raise _Killed
        return status


def envelope(n: int) -> Envelope:
    found = read_envelope(envelope_line(letter(1, n), RESOURCE), "here")
    assert found is not None
    return found


def deliver_until_done(server: KeyedServer, state: Path, n: int, again: Callable[[], bool]) -> Delivery:
    """Runs that are killed and begun again, until one comes to its end."""
    for _ in range(2000):
        with Confirmations(state, "file:///dead") as confirmed:
            if again():
                confirmed.forget()
            try:
                return courier_with(confirmed).deliver(envelope(n), server.end.target)
            except _Killed:
                continue
    raise AssertionError("it never came to an end")


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, 2**32),
    st.integers(1, 40),
    st.sampled_from((400, 413)),
    st.sets(st.integers(1, 40), max_size=6),
    st.integers(1, 40),
)
def test_killed_after_any_request_no_record_is_stored_twice_none_is_missing_and_refused_ones_are_told(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n: int, status: int, refused: set[int], most: int
) -> None:
    draw = random.Random(seed)
    bad = {line for number in refused if number <= n for line in lines(number, number)}
    server = KeyedServer(
        lambda parts: status if bad.intersection(parts) else 413 if len(parts) > most else 0,
        kill=lambda: draw.random() < 0.15,
    )
    state = tmp_path_factory.mktemp("kills") / "state"

    def again() -> bool:
        return draw.random() < 0.1

    delivery = deliver_until_done(server, state, n, again)
    assert sorted(server.records) == sorted(set(lines(1, n)) - bad)
    assert delivery.refused == len(bad)
    assert set(delivery.refusals) == ({f"status {status}"} if bad else set())

    # the server is mended: what was refused comes, all the rest is known, whether sent again or not
    server.refuses = lambda parts: 0
    deliver_until_done(server, state, n, again)
    assert sorted(server.records) == sorted(lines(1, n))
    n_requests, wanted = len(server.end.requests), [True]
    deliver_until_done(server, state, n, lambda: bool(wanted and wanted.pop()))
    assert len(server.end.requests) > n_requests
    assert sorted(server.records) == sorted(lines(1, n))


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_a_server_that_changes_its_mind_between_any_two_requests_stores_no_record_twice(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n: int
) -> None:
    draw = random.Random(seed)
    server = KeyedServer(lambda parts: draw.choice((0, 0, 0, 400, 413)), kill=lambda: draw.random() < 0.1)
    state = tmp_path_factory.mktemp("moods") / "state"
    while deliver_until_done(server, state, n, lambda: draw.random() < 0.2).refused:
        pass
    assert sorted(server.records) == sorted(lines(1, n))


def test_what_was_confirmed_before_cuts_were_noted_is_cut_as_it_was_then(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with Confirmations(path, "file:///dead") as confirmed:
        confirmed.confirm(envelope(8).key, ScriptedEnd().name, [0, 1])
    server = KeyedServer(lambda parts: 0, lambda: False)
    deliver_until_done(server, path, 8, lambda: False)
    assert list(server.stored.values()) == [lines(3, 4), lines(5, 8)]


def test_what_comes_again_of_a_piece_that_was_taken_in_part_goes_in_pieces_of_the_whole(tmp_path: Path) -> None:
    answers: list[int | Outcome] = [Outcome(PARTIAL, "busy", refused=[0], again=[1, 2, 3]), 200, 200]
    end = ScriptedEnd(lambda _: answers.pop(0))
    with Confirmations(tmp_path / "state", "file:///dead") as confirmed:
        delivery = courier_with(confirmed).deliver(envelope(4), end.target)
    assert (delivery.delivered, delivery.refused) == (3, 1)
    assert [batch.parts for batch, _ in end.requests] == [lines(1, 4), lines(2, 2), lines(3, 4)]


def test_a_cut_outlives_the_process(tmp_path: Path) -> None:
    with Confirmations(tmp_path / "state", "file:///dead") as confirmed:
        confirmed.cut("a", "x", Piece(0, 7))
    with Confirmations(tmp_path / "state", "file:///dead") as confirmed:
        confirmed.forget()
        assert confirmed.is_cut("a", "x", Piece(0, 7))
        assert not confirmed.is_cut("a", "x", Piece(0, 3))
        assert not confirmed.is_cut("a", "y", Piece(0, 7))
        assert not confirmed.has_all("a", "x")


@given(st.integers(1, 300))
def test_cut_all_the_way_every_record_stands_alone_once_and_in_order(n: int) -> None:
    waiting, found = [Piece(0, n)], []
    while (piece := next_piece(waiting, (), lambda one: len(one.places) > 1)) is not None:
        found.append(piece)
    assert found == [Piece(place, place + 1) for place in range(n)]
