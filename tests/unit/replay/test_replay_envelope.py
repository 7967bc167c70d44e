"""Envelopes come back as they were written, and what the agent would have sent is sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.dead_letters import RESOURCE, START, URL, WRITTEN_S, letter
from support.destination_cases import URLS, WALL_S, build
from tailrace.model.batch import Batch
from tailrace.model.resource import Resource
from tailrace.pipeline.dead_letters.envelope import Letter, envelope_line
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.messages import HttpRequest
from tailrace.replay.courier import resource_for
from tailrace.replay.envelope import BrokenEnvelopeError, Envelope, read_envelope

ROW = Ledger().open_row("x")
TEXTS = st.text(max_size=30)
PARTS = st.lists(st.one_of(st.binary(max_size=30), TEXTS.map(lambda text: text.encode("utf-8", "replace"))), min_size=1)


def read(line: bytes) -> Envelope:
    envelope = read_envelope(line, "here")
    assert envelope is not None
    return envelope


@settings(deadline=None)
@given(PARTS, st.integers(1, 10**9), TEXTS, TEXTS)
def test_every_byte_of_a_batch_comes_back(parts: list[bytes], first: int, function: str, environment: str) -> None:
    resource = Resource(function, environment, "$LATEST")
    batch = Batch(parts, first, first + len(parts) - 1, START)
    line = envelope_line(Letter(ROW, URL, batch, environment, "shutdown", "é\n", WRITTEN_S), resource)
    assert b"\n" not in line
    envelope = read(line)
    assert (envelope.batch.parts, envelope.batch.first_seq, envelope.batch.last_seq) == (parts, first, batch.last_seq)
    assert (envelope.batch.start, envelope.error, envelope.attempts) == (START, "é\n", 0)
    assert (envelope.first_attempt, envelope.last_attempt) == (None, None)


@pytest.mark.parametrize("url", [url for url in URLS if url != "stdout:"])
@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=5), st.integers(1, 10**6))
def test_the_request_is_the_very_one_that_the_agent_would_have_made(url: str, texts: list[str], first: int) -> None:
    destination = build(url)
    parts = [json.dumps({"record": text, "seq": seq}).encode() for seq, text in enumerate(texts, first)]
    batch = Batch(parts, first, first + len(parts) - 1, START)
    envelope = read(envelope_line(Letter(ROW, destination.name, batch, "env1", "rejected", "", WRITTEN_S), RESOURCE))
    own = Resource(RESOURCE.function_name, "env1", RESOURCE.function_version)
    agents = destination.build_request(batch, own, WALL_S)
    replays = destination.build_request(
        envelope.batch, resource_for(envelope, envelope.batch, destination.name), WALL_S
    )
    assert agents.body == replays.body
    assert getattr(agents, "path", None) == getattr(replays, "path", None)
    if isinstance(agents, HttpRequest):
        assert isinstance(replays, HttpRequest)
        assert (agents.target, agents.headers) == (replays.target, replays.headers)


def test_elsewhere_the_names_are_made_of_the_records() -> None:
    """There the agent may have stored another batch under the name that this one had here."""
    envelope = read(envelope_line(letter(), RESOURCE))
    same = read(envelope_line(letter(destination="http://other"), RESOURCE))
    others = read(envelope_line(letter(1, 4), RESOURCE))
    names = [resource_for(one, one.batch, "s3://logs").environment_id for one in (envelope, same, others)]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("env1-replay-")


def test_what_an_envelope_says_of_itself() -> None:
    envelope = read(envelope_line(letter(), RESOURCE))
    assert (envelope.time, envelope.destination, envelope.reason, envelope.error) == (
        "2026-11-20T21:30:00.000Z", URL, "rejected", "status 404",
    )  # fmt: skip
    assert (envelope.attempts, envelope.first_attempt, envelope.last_attempt) == (
        2, "2026-11-20T21:29:51.000Z", "2026-11-20T21:29:59.000Z",
    )  # fmt: skip
    assert (envelope.function_name, envelope.function_version, envelope.request_ids) == ("shop", "7", ("r1",))


@pytest.mark.parametrize("line", [b"", b"no JSON", b'{"type":"function"}', b"[1]", b"17", b"\xff\xfe"])
def test_other_lines_are_no_envelopes(line: bytes) -> None:
    assert read_envelope(line, "here") is None


def changed(**members: object) -> bytes:
    value = json.loads(envelope_line(letter(), RESOURCE))
    value.update(members)
    return json.dumps({name: member for name, member in value.items() if member != "gone"}).encode()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (envelope_line(letter(), RESOURCE)[:-9], "the line is cut off or damaged"),
        (changed(version=2), "its version is 2, and this Tailrace reads version 1"),
        (changed(version="x"), "its version is no number, and this Tailrace reads version 1"),
        (changed(records="gone"), 'its "records" is missing or no list'),
        (changed(records=[]), 'its "records" is not a list of texts'),
        (changed(records=[1]), 'its "records" is not a list of texts'),
        (changed(records=["\ud800"]), 'a record in its "records" cannot be read'),
        (changed(recordsBase64=["é?"]), 'a record in its "recordsBase64" cannot be read'),
        (changed(firstSeq=True), 'its "firstSeq" is missing or no whole number'),
        (changed(lastSeq=-1), 'its "lastSeq" is missing or no whole number'),
        (changed(functionName=None), 'its "functionName" is missing or no text'),
        (changed(records=["other"]), "its records are not those that its idempotencyKey was made for"),
        (changed(recordCount=99), "its recordCount is not the number of its records"),
        (changed(time="yesterday"), 'its "time" is no time of RFC 3339 in UTC'),
    ],
)
def test_a_broken_envelope_is_told_in_one_sentence(line: bytes, sentence: str) -> None:
    with pytest.raises(BrokenEnvelopeError) as caught:
        read_envelope(line, "here")
    assert str(caught.value) == sentence


@settings(deadline=None)
@given(st.integers(0, 2000), st.integers(0, 255))
def test_no_damage_is_taken_for_records(place: int, byte: int) -> None:
    line = bytearray(envelope_line(letter(), RESOURCE))
    place %= len(line)
    line[place] = byte
    try:
        envelope = read_envelope(bytes(line), "here")
    except BrokenEnvelopeError:
        return
    # what is no part of the batch may change without being noticed
    if envelope is not None:
        assert envelope.batch.parts == letter().batch.parts
