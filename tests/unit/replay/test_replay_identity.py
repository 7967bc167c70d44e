"""Destinations that differ in their secrets only are never taken for each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.dead_letters import RESOURCE, WRITTEN_S, courier_with, letter, write_letters
from tailrace.clock import ManualClock
from tailrace.pipeline.dead_letters.envelope import Letter, count_alike, envelope_line
from tailrace.pipeline.ledger import Ledger
from tailrace.replay.envelope import Envelope, read_envelope
from tailrace.replay.identity import identity_of, name_in, secrets_of
from tailrace.replay.places import FolderPlace, read_spec
from tailrace.replay.replay import CONFIRMED, NO_TARGET, PENDING, Replay
from tailrace.replay.selection import Selection
from tailrace.replay.state import Confirmations
from tailrace.replay.targets import Target, Targets

MASKED = "http://logs.example/in?tenant=***"
A = "http://logs.example/in?tenant=A"
B = "http://logs.example/in?tenant=B"


def envelope(destination: str = MASKED, n_alike: int = 1) -> Envelope:
    first = letter(1, 3, destination=destination)
    written = Letter(
        Ledger().open_row("x"), destination, first.batch, "env1", "shutdown", "", WRITTEN_S, n_alike=n_alike
    )
    found = read_envelope(envelope_line(written, RESOURCE), "here")
    assert found is not None
    return found


def targets(*urls: str, to: str | None = None) -> Targets:
    return Targets({"TAILRACE_DESTINATIONS": " ".join(urls)}, ManualClock(), to)


def target(url: str) -> Target:
    found = targets(to=url).of("any")
    assert found is not None
    return found


@pytest.mark.parametrize("other", [B, "http://user@logs.example/in?tenant=A", "http://logs.example/in?tenant=A&x=1"])
def test_what_one_has_confirmed_is_not_confirmed_by_another(tmp_path: Path, other: str) -> None:
    with Confirmations(tmp_path / "state", "file:///dead") as confirmed:
        courier = courier_with(confirmed)
        confirmed.confirm(envelope().key, confirmed.identity(MASKED, target(A).secrets), None)
        assert courier.is_delivered(envelope(), target(A))
        assert not courier.is_delivered(envelope(), target(other))
    with Confirmations(tmp_path / "state", "file:///dead") as confirmed:
        courier = courier_with(confirmed)
        assert courier.is_delivered(envelope(), target(A))
        assert not courier.is_delivered(envelope(), target(other))
        # the same destination, whether it is the second of two or the only one
        second = targets(B, A).of(f"{MASKED} #2")
        assert second is not None
        assert courier.is_delivered(envelope(), second)


def test_without_a_mask_the_name_is_all_of_it() -> None:
    assert target("http://logs.example/in?tailrace-compress=none").secrets == ""
    assert identity_of("http://logs.example/in", "", b"") == "http://logs.example/in"


@settings(deadline=None, max_examples=20)
@given(st.text("abcdefgh0123", min_size=1, max_size=30), st.text("abcdefgh0123", min_size=1, max_size=30))
def test_digests_say_little_and_tell_secrets_apart(one: str, other: str) -> None:
    found = identity_of(MASKED, one, b"salt")
    assert name_in(found) == MASKED
    assert len(found) == len(MASKED) + 9
    assert (found == identity_of(MASKED, other, b"salt")) == (one == other)
    assert found != identity_of(MASKED, one, b"another")


def test_no_secret_stands_in_the_file_or_in_what_is_shown_of_a_target(tmp_path: Path) -> None:
    own = target("http://joe:hunter2@logs.example/in?tenant=4711")
    with Confirmations(tmp_path / "state", "file:///dead") as confirmed:
        confirmed.confirm("k", confirmed.identity(own.name, own.secrets), None)
    for text in ((tmp_path / "state").read_text(), repr(own)):
        assert not any(secret in text for secret in ("joe", "hunter2", "4711"))
    spec = read_spec("http://joe:hunter2@logs.example/in?tenant=4711", "--to")
    assert all(secret in secrets_of(spec) for secret in ("joe", "hunter2", "4711"))


@pytest.mark.parametrize(
    ("destination", "n_alike", "urls", "is_told"),
    [
        (MASKED, 1, [A], True),  # the key may have been changed since
        (MASKED, 1, [A, B], False),
        (MASKED, 2, [B], False),
        (MASKED, 2, [B, A], False),
        (f"{MASKED} #2", 1, [B, A], False),
        (f"{MASKED} #2", 2, [B], False),
        ("http://logs.example/in", 1, ["http://logs.example/in", A, B], True),
    ],
)
def test_where_it_cannot_be_told_which_was_meant_nothing_is_guessed(
    destination: str, n_alike: int, urls: list[str], is_told: bool
) -> None:
    assert targets(*urls).cannot_tell(envelope(destination, n_alike)) != is_told
    assert not targets(to=A).cannot_tell(envelope(destination, n_alike))


def test_what_cannot_be_told_is_not_sent_and_a_remedy_is_named(tmp_path: Path) -> None:
    write_letters(tmp_path / "dead" / "a.ndjson", letter(1, 3, destination=MASKED))
    place = FolderPlace(tmp_path / "dead")
    with Confirmations(tmp_path / "state", place.name) as confirmed:
        replay = Replay(place, Selection(), targets(B, A), courier_with(confirmed), True, lambda file: None)
        assert [one.status for one in replay.run(list(place.files()))] == [NO_TARGET]
        assert replay.figures.problems == [
            f"which of the destinations {MASKED} is meant by {MASKED} cannot be told;"
            f" they differ in their secrets only; name one: --destination '{MASKED}' --to URL"
        ]
        # brought to one of them by hand it is done
        confirmed.confirm(envelope().key, confirmed.identity(MASKED, target(A).secrets), None)
        again = Replay(place, Selection(), targets(B, A), courier_with(confirmed), True, lambda file: None)
        assert [one.status for one in again.run(list(place.files()))] == [CONFIRMED]


@pytest.mark.parametrize(
    ("name", "secrets", "shown"), [(MASKED, "A", MASKED), ("http://other.example/", "", "http://other.example/")]
)
def test_a_list_without_destinations_knows_what_was_delivered(
    tmp_path: Path, name: str, secrets: str, shown: str
) -> None:
    write_letters(tmp_path / "dead" / "a.ndjson", letter(1, 3, destination=MASKED), letter(4, 6, destination=MASKED))
    place = FolderPlace(tmp_path / "dead")
    with Confirmations(tmp_path / "state", place.name) as confirmed:
        confirmed.confirm(envelope().key, confirmed.identity(name, secrets), None)
    with Confirmations(tmp_path / "state", place.name, is_kept=False) as confirmed:
        replay = Replay(place, Selection(), None, courier_with(confirmed), False, lambda file: None)
        found = [(one.status, one.target) for one in replay.run(list(place.files()))]
    assert found == [(CONFIRMED, shown), (PENDING, "")]


def test_an_envelope_says_how_many_destinations_had_its_name_only_where_there_were_several() -> None:
    names = ["http://a/?k=***", "http://a/?k=*** #2", "http://b/"]
    assert [count_alike(name, names) for name in names] == [2, 2, 1]
    assert envelope(n_alike=2).n_alike == 2
    first = letter(1, 3)
    assert "destinationsAlike" not in json.loads(envelope_line(first, RESOURCE))
