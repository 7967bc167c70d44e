"""What every destination must keep, whatever it speaks."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.destination_cases import ENVIRON, RESOURCE, SECRETS, START, URLS, WALL_S, batch, build, record
from tailrace.config.settings import load_settings
from tailrace.destinations.registry import build_destinations
from tailrace.model.batch import Batch
from tailrace.model.record import Record
from tailrace.pipeline.messages import (
    AUTHENTICATION,
    DELIVERED,
    POISONED,
    REJECTED,
    RETRY,
    SPLIT,
    FileRequest,
    HttpRequest,
    Reply,
    StreamRequest,
)

every_destination = pytest.mark.parametrize("url", URLS)
KINDS = {DELIVERED, RETRY, SPLIT, POISONED, REJECTED, AUTHENTICATION}


def identity(request: HttpRequest | FileRequest | StreamRequest) -> object:
    """What tells one batch from another at the other end."""
    if isinstance(request, HttpRequest):
        keys = [value for name, value in request.headers if name == "Idempotency-Key"]
        return request.method, request.host, request.port, request.target, keys
    return request.path if isinstance(request, FileRequest) else None


def decoded_lines(body: bytes) -> list[dict[str, object]]:
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    if body[:1] == b"[":
        whole: list[dict[str, object]] = json.loads(body)
        return whole
    assert body.endswith(b"\n")
    return [json.loads(line) for line in body.splitlines()]


@every_destination
def test_a_body_holds_each_record_once_in_order_with_what_the_agent_adds(url: str) -> None:
    destination = build(url)
    request = destination.build_request(batch(destination, [record(7), record(8, "two")]), RESOURCE, WALL_S)
    assert decoded_lines(request.body) == [
        {
            "time": START,
            "type": "function",
            "record": message,
            "requestId": "8286a188-ba32-4475-8077-530cd35c09a9",
            "functionName": "orders",
            "seq": seq,
        }
        for seq, message in ((7, "hello"), (8, "two"))
    ]


@every_destination
@pytest.mark.parametrize("event", [None, 3, "text", [1], {}, {"record": None}, {"time": 5}, {"seq": "own"}])
def test_odd_events_are_encoded_as_one_line_of_json(url: str, event: object) -> None:
    destination = build(url)
    for raw in (json.dumps(event), None):
        part = destination.encode_record(Record(1, "", "", event, raw), RESOURCE)
        assert b"\n" not in part
        assert isinstance(json.loads(part), dict)


@every_destination
def test_the_same_batch_has_the_same_identity_and_body_at_any_time(url: str) -> None:
    destination = build(url)
    sealed = batch(destination, [record(7), record(8)])
    first = destination.build_request(sealed, RESOURCE, WALL_S)
    later = destination.build_request(sealed, RESOURCE, WALL_S + 86_400)
    assert identity(first) == identity(later)
    assert first.body == later.body


@every_destination
def test_other_batches_and_other_environments_have_other_identities(url: str) -> None:
    destination = build(url)
    other = type(RESOURCE)("orders", "another-environment")
    requests = [
        destination.build_request(batch(destination, [record(7), record(8)]), RESOURCE, WALL_S),
        destination.build_request(batch(destination, [record(8)]), RESOURCE, WALL_S),
        destination.build_request(batch(destination, [record(7), record(8)], other), other, WALL_S),
    ]
    if not isinstance(requests[0], StreamRequest):
        assert len({str(identity(request)) for request in requests}) == 3


@every_destination
def test_a_batch_without_a_usable_time_keeps_its_identity(url: str) -> None:
    destination = build(url)
    for start in ("", "yesterday", "2026-11-20T21:30:00.123+01:00", "../../../etc/x"):
        sealed = Batch([destination.encode_record(record(1), RESOURCE)], 1, 1, start)
        now = destination.build_request(sealed, RESOURCE, WALL_S)
        assert identity(now) == identity(destination.build_request(sealed, RESOURCE, WALL_S + 4000))
        assert "etc" not in str(identity(now))


@every_destination
def test_limits_let_a_whole_request_through(url: str) -> None:
    limits = build(url).limits
    assert limits.max_bytes > 0
    assert limits.max_records >= 1_000
    assert limits.by_hour == url.startswith(("file", "s3"))


@every_destination
def test_every_reply_has_a_meaning_and_every_refusal_a_reason(url: str) -> None:
    destination = build(url)
    bodies = (b"", b"\xff\x00garbage", b"<Error><Code>NoSuchThing</Code></Error>", b"<Code>" * 1000)
    for status in (100, 200, 204, 301, 302, 307, 400, 401, 403, 404, 408, 409, 413, 418, 425, 429, 500, 501, 503, 599):
        for body in bodies:
            outcome = destination.classify(Reply(status, {"retry-after": "soon", "location": "\x00"}, body))
            assert outcome.kind in KINDS
            assert outcome.kind == DELIVERED or outcome.reason
            assert outcome.reason.isprintable()
            assert outcome.retry_after_s is None
    assert destination.classify(Reply(200)).kind == DELIVERED


@every_destination
@given(status=st.integers(200, 599), body=st.binary(max_size=60), retry_after=st.sampled_from(["", "7", "soon"]))
def test_a_reply_that_broke_off_after_its_head_is_neither_taken_for_less_nor_for_more(
    url: str, status: int, body: bytes, retry_after: str
) -> None:
    """A status of success is one, whatever the rest: sent again the batch would be there twice. Nothing is given up for
    a body that nobody read, and no success is read into one."""
    destination = build(url)
    whole, cut = (Reply(status, {"retry-after": retry_after}, body) for _ in range(2))
    cut.is_whole = False
    outcome, of_cut = destination.classify(whole), destination.classify(cut)
    assert (of_cut.kind == DELIVERED) == (outcome.kind == DELIVERED)
    assert of_cut.kind in (outcome.kind, RETRY)
    assert of_cut.retry_after_s in (outcome.retry_after_s, None)
    if 200 <= status < 300 and url.startswith(("http", "s3")):
        assert of_cut.kind == DELIVERED
    if status >= 500 or status == 429:
        assert of_cut.kind == outcome.kind


@every_destination
def test_no_secret_stands_in_name_repr_or_reasons(url: str) -> None:
    destination = build(url)
    leaky = " ".join(SECRETS).encode()
    told = [destination.name, repr(destination)]
    for status in (302, 400, 401, 403, 404, 500):
        reply = Reply(status, {"location": f"https://x:hunter2@{SECRETS[-1]}.example/{SECRETS[0]}"}, leaky)
        told.append(destination.classify(reply).reason.replace(SECRETS[-1], ""))
    assert not [secret for secret in SECRETS if any(secret in text for text in told)]


@every_destination
def test_no_secret_stands_in_paths_or_targets_that_are_not_the_users_own(url: str) -> None:
    destination = build(url)
    request = destination.build_request(batch(destination, [record(1)]), RESOURCE, WALL_S)
    if isinstance(request, HttpRequest):
        assert not [s for s in SECRETS if s in request.target and s not in url]
        assert all(value.isascii() and value.isprintable() for header in request.headers for value in header)
        names = [name.lower() for name, _ in request.headers]
        assert len(names) == len(set(names))
        assert not {"host", "content-length"} & set(names)


@every_destination
def test_odd_names_of_functions_cannot_leave_their_segment(url: str) -> None:
    destination = build(url)
    for name in ("../../etc", "..", "", "a b/c", "naïve\n", "x" * 500):
        odd = type(RESOURCE)(name, name)
        request = destination.build_request(batch(destination, [record(1)], odd), odd, WALL_S)
        if isinstance(request, StreamRequest):
            continue
        where = request.path if isinstance(request, FileRequest) else request.target
        assert where.isascii()
        assert where.isprintable()
        assert ".." not in where.split("/")
        if "functionName=" in where:
            assert where.partition("functionName=")[2].count("/") == 5


@every_destination
def test_a_health_request_is_cheap_or_absent(url: str) -> None:
    request = build(url).health_request(WALL_S)
    assert (request is None) == (not url.startswith(("s3", "http")))
    if isinstance(request, HttpRequest):
        assert (request.method, request.body) == ("HEAD" if url.startswith("s3") else "OPTIONS", b"")


def test_names_are_unique_although_secrets_are_masked() -> None:
    environ = {**ENVIRON, "TAILRACE_DESTINATIONS": "https://h.example/?k=1 https://h.example/?k=2"}
    built = build_destinations(environ, load_settings(environ))
    assert [one.name for one in built.destinations] == ["https://h.example/?k=***", "https://h.example/?k=*** #2"]
