from __future__ import annotations

import time
from unittest.mock import patch

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.aws.credentials import Credentials
from tailrace.aws.sigv4 import base64, sha256, signed_headers
from tailrace.config.urls import encode

WALL_S = 1_795_210_200.0


class FixedClock:
    """Stands for the `datetime` module inside botocore, whose signer asks it for the time."""

    def __init__(self, wall_s: float) -> None:
        self._stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(wall_s))

    def strftime(self, _: str) -> str:
        return self._stamp


def botocore_headers(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes, credentials: Credentials, region: str
) -> dict[str, str]:
    """The same request signed by botocore's S3 signer with a signed payload."""
    request = botocore.awsrequest.AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    request.context["payload_signing_enabled"] = True
    keys = botocore.credentials.Credentials(
        credentials.access_key_id, credentials.secret_access_key, credentials.session_token or None
    )
    signer = botocore.auth.S3SigV4Auth(keys, "s3", region)
    with patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: FixedClock(WALL_S)):
        signer.add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


plain = st.characters(min_codepoint=33, max_codepoint=126)
any_character = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
segment = st.text(any_character, min_size=1, max_size=12)
header_value = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.strip)


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(["PUT", "GET", "HEAD", "DELETE", "POST"]),
    segments=st.lists(segment, max_size=4),
    query=st.lists(st.tuples(segment, st.text(any_character, max_size=12)), max_size=3, unique_by=lambda item: item[0]),
    extra=header_value,
    token=st.text(plain, max_size=30),
    secret=st.text(plain, min_size=1, max_size=100),
    region=st.sampled_from(["us-east-1", "eu-west-1", "cn-north-1"]),
    host=st.sampled_from(["logs.s3.eu-west-1.amazonaws.com", "127.0.0.1:9000", "[::1]:9000"]),
    body=st.binary(max_size=50),
)
def test_signatures_equal_those_of_botocore(
    method: str,
    segments: list[str],
    query: list[tuple[str, str]],
    extra: str,
    token: str,
    secret: str,
    region: str,
    host: str,
    body: bytes,
) -> None:
    path = "/" + "/".join(encode(part, "") for part in segments)
    escaped = [(encode(key, ""), encode(value, "")) for key, value in query]
    url = f"https://{host}{path}" + ("?" + "&".join(f"{k}={v}" for k, v in escaped) if escaped else "")
    credentials = Credentials("AKIDEXAMPLE", secret, token)
    headers = [("content-type", "application/x-ndjson"), ("x-amz-meta-odd", extra)]
    ours = dict(
        signed_headers(method, host, path, escaped, headers, sha256(body), credentials, region, "s3", WALL_S),
    )
    theirs = botocore_headers(method, url, headers, body, credentials, region)
    for name in ("authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"):
        assert ours.get(name) == theirs.get(name), name


def test_the_published_example_of_s3_is_signed_as_published() -> None:
    """`PUT Object` in the S3 reference, "Authenticating Requests: Using the Authorization Header", 24 May 2013."""
    headers = signed_headers(
        "PUT",
        "examplebucket.s3.amazonaws.com",
        "/" + encode("test$file.text", "/"),
        [],
        [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
        sha256(b"Welcome to Amazon S3."),
        Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        "us-east-1",
        "s3",
        1_369_353_600.0,
    )
    assert headers[-1][1].endswith("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")


@pytest.mark.parametrize("data", [b"", b"a", b"x" * 1000])
def test_digests_and_base64_are_the_standard_ones(data: bytes) -> None:
    import base64 as standard_base64
    import hashlib

    assert sha256(data) == hashlib.sha256(data).digest()
    assert base64(data) == standard_base64.b64encode(data).decode()
