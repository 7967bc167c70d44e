"""The S3 destination against a server that checks signatures and permissions."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from support.destination_cases import RESOURCE, batch, record
from support.moto_s3 import MotoS3, start_moto_s3
from tailrace.aws.credentials import Credentials
from tailrace.clock import SystemClock
from tailrace.config.settings import load_settings
from tailrace.destinations.registry import build_destinations
from tailrace.model.batch import Batch
from tailrace.model.resource import Resource
from tailrace.pipeline.interfaces import Destination
from tailrace.pipeline.messages import AUTHENTICATION, DELIVERED, HttpRequest, Outcome
from tailrace.pipeline.wire.transport import CompositeTransport

KEY = "functionName=orders/year=2026/month=11/day=20/hour=21/20261120T213000123Z-2026_11_20___LATEST_0123abcd-00000007"


@pytest.fixture(scope="module")
def s3() -> Iterator[MotoS3]:
    with start_moto_s3() as server:
        yield server


@pytest.fixture
def transport() -> Iterator[CompositeTransport]:
    with closing(CompositeTransport(SystemClock(), {})) as transport:
        yield transport


def destination_at(s3: MotoS3, rest: str = "", credentials: Credentials | None = None) -> Destination:
    environ = {**s3.environ(credentials), "TAILRACE_DESTINATIONS": f"s3://{s3.bucket}{rest}"}
    built = build_destinations(environ, load_settings(environ))
    assert not built.problems
    return built.destinations[0]


def put(
    destination: Destination, transport: CompositeTransport, sealed: Batch, resource: Resource = RESOURCE
) -> Outcome:
    request = destination.build_request(sealed, resource, SystemClock().wall_s())
    return destination.classify(transport.send(request, 20))


def test_a_batch_becomes_one_object_of_lines(s3: MotoS3, transport: CompositeTransport) -> None:
    destination = destination_at(s3, "/plain")
    assert put(destination, transport, batch(destination, [record(7), record(8)])).kind == DELIVERED
    assert s3.keys("plain/") == [f"plain/{KEY}.ndjson"]
    assert [line["seq"] for line in s3.lines("plain/")] == [7, 8]
    head = s3.client.head_object(Bucket=s3.bucket, Key=f"plain/{KEY}.ndjson")
    assert head["ContentType"] == "application/x-ndjson"
    assert "ContentEncoding" not in head


def test_the_same_batch_put_twice_is_one_object(s3: MotoS3, transport: CompositeTransport) -> None:
    destination = destination_at(s3, "/twice")
    sealed = batch(destination, [record(7)])
    assert [put(destination, transport, sealed).kind for _ in range(2)] == [DELIVERED, DELIVERED]
    assert len(s3.keys("twice/")) == 1


def test_gzip_makes_a_gz_object_that_gunzip_reads(s3: MotoS3, transport: CompositeTransport) -> None:
    destination = destination_at(s3, "/zipped?compress=gzip")
    assert put(destination, transport, batch(destination, [record(7)])).kind == DELIVERED
    key = f"zipped/{KEY}.ndjson.gz"
    assert json.loads(gzip.decompress(s3.read(key)))["record"] == "hello"
    head = s3.client.head_object(Bucket=s3.bucket, Key=key)
    assert head["ContentType"] == "application/gzip"
    assert "ContentEncoding" not in head


def test_encryption_is_asked_for(s3: MotoS3, transport: CompositeTransport) -> None:
    for sse, query in (
        ("AES256", "sse=AES256"),
        ("aws:kms", "sse=aws:kms&sse-kms-key-id=0b1c2d3e-1111-2222-3333-444455556666"),
    ):
        destination = destination_at(s3, f"/{sse.replace(':', '')}?{query}")
        assert put(destination, transport, batch(destination, [record(7)])).kind == DELIVERED
        head = s3.client.head_object(Bucket=s3.bucket, Key=f"{sse.replace(':', '')}/{KEY}.ndjson")
        assert head["ServerSideEncryption"] == sse
    assert head["SSEKMSKeyId"].endswith("0b1c2d3e-1111-2222-3333-444455556666")


@pytest.mark.parametrize(
    ("written", "prefix"),
    [
        ("with%20blank", "with blank"),
        ("plus+and=equals", "plus+and=equals"),
        ("%C3%BCml%C3%A4ut", "ümläut"),
        ("tilde~(brackets)'*!", "tilde~(brackets)'*!"),
        ("a&b;c,d@e:f$g", "a&b;c,d@e:f$g"),
        ("percent%25and%3Fquestion%23hash", "percent%and?question#hash"),
    ],
)
def test_keys_with_odd_characters_are_signed_rightly(
    s3: MotoS3, transport: CompositeTransport, written: str, prefix: str
) -> None:
    destination = destination_at(s3, f"/odd/{written}")
    assert put(destination, transport, batch(destination, [record(7)])).kind == DELIVERED
    assert s3.keys(f"odd/{prefix}/") == [f"odd/{prefix}/{KEY}.ndjson"]


def test_a_wrong_secret_is_refused_and_said(s3: MotoS3, transport: CompositeTransport) -> None:
    wrong = Credentials(s3.good_credentials.access_key_id, "not-the-secret")
    destination = destination_at(s3, "/wrong", wrong)
    outcome = put(destination, transport, batch(destination, [record(7)]))
    assert (outcome.kind, outcome.reason) == (
        AUTHENTICATION,
        's3 bucket "telemetry": the signature does not match: the secret access key is wrong (AWS_SECRET_ACCESS_KEY)',
    )
    assert s3.keys("wrong/") == []


def test_an_unknown_key_id_is_refused_and_said(s3: MotoS3, transport: CompositeTransport) -> None:
    destination = destination_at(s3, "", Credentials("AKIAUNKNOWN", "x"))
    outcome = put(destination, transport, batch(destination, [record(7)]))
    assert outcome.kind == AUTHENTICATION
    assert "access key id is not known" in outcome.reason


def test_a_missing_permission_is_refused_and_said(s3: MotoS3, transport: CompositeTransport) -> None:
    destination = destination_at(s3, "/denied", s3.limited_credentials)
    outcome = put(destination, transport, batch(destination, [record(7)]))
    assert (outcome.kind, outcome.reason) == (
        AUTHENTICATION,
        's3 bucket "telemetry": access denied: the role needs s3:PutObject there',
    )
    assert s3.keys("denied/") == []


def test_a_body_changed_on_the_way_is_not_stored_under_our_signature(s3: MotoS3, transport: CompositeTransport) -> None:
    destination = destination_at(s3, "/changed")
    request = destination.build_request(batch(destination, [record(7)]), RESOURCE, SystemClock().wall_s())
    assert isinstance(request, HttpRequest)
    request.target += "x"
    assert destination.classify(transport.send(request, 20)).kind == AUTHENTICATION


def test_a_missing_bucket_is_kept_for_later_and_said(s3: MotoS3, transport: CompositeTransport) -> None:
    environ = {**s3.environ(), "S3_BUCKET_NAME": "no-such-bucket"}
    (destination,) = build_destinations(environ, load_settings(environ)).destinations
    outcome = put(destination, transport, batch(destination, [record(7)]))
    assert outcome.kind == AUTHENTICATION
    assert outcome.reason == 's3 bucket "no-such-bucket": the bucket does not exist: create it, or correct its name'


def test_the_health_request_tells_whether_the_bucket_is_there(s3: MotoS3, transport: CompositeTransport) -> None:
    present = destination_at(s3)
    absent = build_destinations({**s3.environ(), "S3_BUCKET_NAME": "no-such-bucket"}, load_settings({})).destinations[0]
    kinds = []
    for destination in (present, absent):
        request = destination.health_request(SystemClock().wall_s())
        assert request is not None
        kinds.append(destination.classify(transport.send(request, 20)).kind)
    assert kinds == [DELIVERED, AUTHENTICATION]


def test_the_bucket_variable_of_the_aws_demo_works_as_is(s3: MotoS3, transport: CompositeTransport) -> None:
    environ = {**s3.environ(), "S3_BUCKET_NAME": s3.bucket}
    (destination,) = build_destinations(environ, load_settings(environ)).destinations
    assert destination.name == "s3://telemetry"
    assert put(destination, transport, batch(destination, [record(7)])).kind == DELIVERED
    assert f"{KEY}.ndjson" in s3.keys("functionName=orders/")
