from __future__ import annotations

import base64
import hashlib

import pytest

from support.destination_cases import ENVIRON, RESOURCE, WALL_S, batch, build, record
from tailrace.config.settings import load_settings
from tailrace.destinations.registry import build_destinations
from tailrace.errors import ConfigError
from tailrace.pipeline.messages import AUTHENTICATION, DELIVERED, REJECTED, RETRY, SPLIT, HttpRequest, Reply

FILE = "/year=2026/month=11/day=20/hour=21/20261120T213000123Z-2026_11_20___LATEST_0123abcd-00000007.ndjson"


def request_to(url: str, **environ: str) -> HttpRequest:
    destination = build(url, **environ)
    request = destination.build_request(batch(destination, [record(7)]), RESOURCE, WALL_S)
    assert isinstance(request, HttpRequest)
    return request


def problem_of(url: str, **environ: str) -> str:
    complete = {**ENVIRON, "TAILRACE_DESTINATIONS": url, **environ}
    built = build_destinations(complete, load_settings(complete))
    assert built.destinations == []
    return str(built.problems[0])


@pytest.mark.parametrize(
    ("url", "environ", "origin", "base"),
    [
        ("s3://logs", {}, ("logs.s3.eu-west-1.amazonaws.com", 443, True), ""),
        ("s3://logs?region=us-east-1", {}, ("logs.s3.us-east-1.amazonaws.com", 443, True), ""),
        ("s3://logs", {"AWS_REGION": "", "AWS_DEFAULT_REGION": "a-b"}, ("logs.s3.a-b.amazonaws.com", 443, True), ""),
        ("s3://logs?region=cn-north-1", {}, ("logs.s3.cn-north-1.amazonaws.com.cn", 443, True), ""),
        ("s3://my.logs", {}, ("s3.eu-west-1.amazonaws.com", 443, True), "/my.logs"),
        ("s3://Old_Logs", {}, ("s3.eu-west-1.amazonaws.com", 443, True), "/Old_Logs"),
        ("s3://logs?path-style=true", {}, ("s3.eu-west-1.amazonaws.com", 443, True), "/logs"),
        ("s3://my.logs?path-style=false", {}, ("my.logs.s3.eu-west-1.amazonaws.com", 443, True), ""),
        ("s3://logs?endpoint=http://127.0.0.1:9000", {}, ("127.0.0.1", 9000, False), "/logs"),
        ("s3://logs?endpoint=https://store.example/", {}, ("store.example", 443, True), "/logs"),
        ("s3://logs?endpoint=http://[::1]:9000/base/", {}, ("::1", 9000, False), "/base/logs"),
        ("s3://logs?endpoint=http://store.example&path-style=false", {}, ("logs.store.example", 80, False), ""),
        ("s3://logs", {"AWS_ENDPOINT_URL_S3": "http://a:1", "AWS_ENDPOINT_URL": "http://b"}, ("a", 1, False), "/logs"),
        ("s3://logs", {"AWS_ENDPOINT_URL": "http://b:2"}, ("b", 2, False), "/logs"),
        ("s3://logs?endpoint=http://c:3", {"AWS_ENDPOINT_URL": "http://b:2"}, ("c", 3, False), "/logs"),
    ],
)  # fmt: skip
def test_addresses(url: str, environ: dict[str, str], origin: tuple[str, int, bool], base: str) -> None:
    request = request_to(url, **environ)
    assert (request.host, request.port, request.tls) == origin
    assert request.target == f"{base}/functionName%3Dorders{FILE.replace('=', '%3D')}"


def test_prefixes_are_decoded_once_and_escaped_once() -> None:
    assert request_to("s3://logs//a%20b/%25c/").target.startswith("/a%20b/%25c/functionName%3Dorders/")


def test_headers_of_a_put() -> None:
    request = request_to("s3://logs?sse=aws:kms:dsse&sse-kms-key-id=alias/x&compress=gzip")
    headers = dict(request.headers)
    digest = hashlib.sha256(request.body)
    assert headers["content-type"] == "application/gzip"
    assert "content-encoding" not in headers
    assert headers["x-amz-server-side-encryption"] == "aws:kms:dsse"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/x"
    assert headers["x-amz-content-sha256"] == digest.hexdigest()
    assert headers["x-amz-checksum-sha256"] == base64.b64encode(digest.digest()).decode()
    assert headers["x-amz-security-token"] == "sessionTOKEN"
    assert headers["x-amz-date"] == "20261120T213000Z"
    assert "/20261120/eu-west-1/s3/aws4_request, SignedHeaders=content-type;host;" in headers["authorization"]
    assert headers["user-agent"].startswith("tailrace/")


def test_stores_that_are_not_aws_are_spared_headers_they_may_not_know() -> None:
    headers = dict(request_to("s3://logs?endpoint=http://127.0.0.1:9000").headers)
    assert "x-amz-checksum-sha256" not in headers
    assert headers["content-type"] == "application/x-ndjson"


def test_without_a_region_there_is_no_address_on_aws() -> None:
    said = problem_of("s3://logs", AWS_REGION="")
    assert (
        said == "TAILRACE_DESTINATIONS, first entry: no region is known; add ?region=... to the URL or set AWS_REGION"
    )
    assert request_to("s3://logs?endpoint=http://h:1", AWS_REGION="").host == "h"


def test_an_endpoint_variable_that_cannot_be_used_is_named() -> None:
    assert problem_of("s3://logs", AWS_ENDPOINT_URL="127.0.0.1:9000").startswith("AWS_ENDPOINT_URL: ")
    assert "user information" in problem_of("s3://logs", AWS_ENDPOINT_URL_S3="http://u:hunter2@h")
    assert "hunter2" not in problem_of("s3://logs", AWS_ENDPOINT_URL_S3="http://u:hunter2@h")


def test_missing_credentials_show_when_a_request_is_built() -> None:
    destination = build("s3://logs", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    with pytest.raises(ConfigError, match="AWS credentials"):
        destination.build_request(batch(destination, [record(7)]), RESOURCE, WALL_S)
    with pytest.raises(ConfigError, match="AWS credentials"):
        destination.health_request(WALL_S)


def error(code: str, rest: str = "") -> bytes:
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>AKIDEXAMPLE</Message>{rest}</Error>'.encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (200, b"", DELIVERED, ""),
        (503, error("SlowDown"), RETRY, "status 503 SlowDown"),
        (500, error("InternalError"), RETRY, "status 500 InternalError"),
        (502, b"<html>", RETRY, "status 502"),
        (501, error("NotImplemented"), REJECTED, "status 501 NotImplemented"),
        (400, error("RequestTimeout"), RETRY, "RequestTimeout"),
        (400, error("BadDigest"), RETRY, "BadDigest"),
        (403, error("RequestTimeTooSkewed"), RETRY, "RequestTimeTooSkewed"),
        (409, error("OperationAborted"), RETRY, "OperationAborted"),
        (429, b"", RETRY, "status 429"),
        (307, error("TemporaryRedirect"), RETRY, "TemporaryRedirect"),
        (400, error("ExpiredToken"), AUTHENTICATION, "the credentials have expired"),
        (403, error("InvalidAccessKeyId"), AUTHENTICATION, "access key id is not known"),
        (403, error("SignatureDoesNotMatch"), AUTHENTICATION, "the secret access key is wrong"),
        (403, error("AccessDenied"), AUTHENTICATION, "s3:PutObject"),
        (403, b"", AUTHENTICATION, "access denied (status 403)"),
        (404, error("NoSuchBucket"), AUTHENTICATION, 'bucket "logs": the bucket does not exist'),
        (404, b"", AUTHENTICATION, "or correct its name (status 404)"),
        (404, error("NoSuchKey"), AUTHENTICATION, "NoSuchKey"),
        (400, error("KMS.DisabledException"), AUTHENTICATION, "the KMS key is disabled"),
        (400, error("AuthorizationHeaderMalformed", "<Region>us-west-2</Region>"), AUTHENTICATION, "region=us-west-2"),
        (301, error("PermanentRedirect"), AUTHENTICATION, "not behind this endpoint (status 301 PermanentRedirect)"),
        (400, error("EntityTooLarge"), SPLIT, "too large"),
        (413, b"", SPLIT, "too large"),
        (400, error("InvalidArgument"), REJECTED, "status 400 InvalidArgument"),
        (400, error("<script>alert"), REJECTED, "status 400"),
    ],
)  # fmt: skip
def test_what_the_replies_of_s3_mean(status: int, body: bytes, kind: str, said: str) -> None:
    outcome = build("s3://logs").classify(Reply(status, {}, body))
    assert outcome.kind == kind
    assert said in outcome.reason
    assert "AKIDEXAMPLE" not in outcome.reason
    assert "script" not in outcome.reason


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", DELIVERED),
        (400, b"<?xml version=", RETRY),
        (409, b"", RETRY),
        (400, error("InvalidArgument")[:-3], REJECTED),
        (400, error("ExpiredToken")[:-3], AUTHENTICATION),
        (413, b"", SPLIT),
        (404, b"", AUTHENTICATION),
        (503, b"", RETRY),
    ],
)
def test_a_reply_of_s3_that_broke_off_is_no_refusal_for_good_unless_it_says_so(
    status: int, body: bytes, kind: str
) -> None:
    reply = Reply(status, {}, body)
    reply.is_whole = False
    assert build("s3://logs").classify(reply).kind == kind


def test_a_bucket_elsewhere_is_said_with_its_region() -> None:
    outcome = build("s3://logs").classify(Reply(301, {"x-amz-bucket-region": "us-west-2"}))
    assert (outcome.kind, outcome.reason) == (
        AUTHENTICATION,
        's3 bucket "logs": it is in region us-west-2, not eu-west-1; set region=us-west-2',
    )


def test_s3_may_say_when_to_come_back() -> None:
    assert build("s3://logs").classify(Reply(503, {"retry-after": "7"}, error("SlowDown"))).retry_after_s == 7
