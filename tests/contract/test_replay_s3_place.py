"""Dead letters in a bucket, read from a server that checks signatures and permissions."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from support.dead_letters import RESOURCE, letter, patience_with
from support.moto_s3 import MotoS3, start_moto_s3
from tailrace.aws.credentials import Credentials
from tailrace.errors import ConfigError, UsageError
from tailrace.pipeline.dead_letters.envelope import envelope_line
from tailrace.replay.places import LOCATION, PlaceError, StoredFile, open_place, read_spec
from tailrace.replay.reading import read_file
from tailrace.replay.s3_place import S3Place


@pytest.fixture(scope="module")
def s3() -> Iterator[MotoS3]:
    with start_moto_s3() as server:
        yield server


def put(s3: MotoS3, key: str, body: bytes) -> None:
    s3.client.put_object(Bucket=s3.bucket, Key=key, Body=body)


def place_at(s3: MotoS3, rest: str, credentials: Credentials | None = None, page_size: int = 1000) -> S3Place:
    return S3Place(read_spec(f"s3://{s3.bucket}{rest}", LOCATION), s3.environ(credentials), page_size, patience_with())


def test_objects_below_the_prefix_page_by_page(s3: MotoS3) -> None:
    names = [f"paged/a b+ü&%/{n:02}.ndjson" for n in range(7)]
    for name in [*names, "paged-not/x.ndjson", "other/x.ndjson", "paged/folder/"]:
        put(s3, name, b"x" * len(name))
    for page_size in (1, 3, 7, 1000):
        found = list(place_at(s3, "/paged", page_size=page_size).files())
        assert [(file.name, file.n_bytes) for file in found] == [(name, len(name)) for name in names]
    everything = {file.name for file in place_at(s3, "").files()}
    assert {*names, "other/x.ndjson"} <= everything


def test_envelopes_compressed_or_not_under_any_name(s3: MotoS3) -> None:
    line = envelope_line(letter(1, 3), RESOURCE) + b"\n"
    other = envelope_line(letter(4, 6), RESOURCE) + b"\n"
    put(s3, "read/a b+ü&%=~.ndjson", line)
    put(s3, "read/b.ndjson.gz", gzip.compress(other))
    put(s3, "read/c.ndjson", b'{"type":"function"}\n' * 100_000)
    place = place_at(s3, "/read")
    contents = [read_file(place, file) for file in place.files()]
    assert [(len(one.envelopes), one.is_foreign, one.troubles) for one in contents] == [
        (1, False, []), (1, False, []), (0, True, []),
    ]  # fmt: skip
    assert [one.envelopes[0].batch.first_seq for one in contents[:2]] == [1, 4]


def test_who_may_only_list_is_told_what_is_missing(s3: MotoS3) -> None:
    put(s3, "limited/x.ndjson", b"x")
    place = place_at(s3, "/limited", s3.limited_credentials)
    (file,) = place.files()
    assert read_file(place, file).troubles == [
        f"s3://{s3.bucket}/limited/x.ndjson cannot be read: status 403 AccessDenied;"
        " whoever replays needs s3:ListBucket and s3:GetObject there"
    ]


@pytest.mark.parametrize(
    ("key_id", "secret", "sentence"),
    [("AKIDNOBODY", "x", "the AWS_ACCESS_KEY_ID is not known there"), ("", "wrong", "AWS_SECRET_ACCESS_KEY is wrong")],
)
def test_wrong_credentials_are_told_without_showing_them(s3: MotoS3, key_id: str, secret: str, sentence: str) -> None:
    credentials = Credentials(key_id or s3.good_credentials.access_key_id, secret)
    with pytest.raises(PlaceError, match=sentence) as caught:
        list(place_at(s3, "", credentials).files())
    assert credentials.access_key_id not in str(caught.value)


def test_a_bucket_an_object_or_a_server_that_is_not_there_is_told(s3: MotoS3) -> None:
    environ = s3.environ()
    with pytest.raises(PlaceError, match="status 404 NoSuchBucket; there is no such bucket"):
        list(S3Place(read_spec("s3://no-such-bucket/x", LOCATION), environ).files())
    gone = read_file(place_at(s3, "/x"), StoredFile("x/gone", 1))
    assert gone.troubles == [f"s3://{s3.bucket}/x/gone cannot be read: status 404 NoSuchKey; the object is gone"]
    nobody = {**environ, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}
    with pytest.raises(PlaceError, match="connection refused"):
        list(S3Place(read_spec("s3://logs", LOCATION), nobody, patience=patience_with()).files())


def test_without_a_region_or_credentials_it_is_said_which_variable_is_missing() -> None:
    with pytest.raises(UsageError, match="no region is known; add"):
        open_place("s3://logs/dead", {})
    with pytest.raises(ConfigError, match="neither AWS_ACCESS_KEY_ID nor AWS_SECRET_ACCESS_KEY is set"):
        list(open_place("s3://logs/dead?region=eu-west-1", {}).files())


def test_a_place_names_no_secret() -> None:
    place = open_place("s3://logs/dead?endpoint=http://127.0.0.1:9000", {"AWS_SECRET_ACCESS_KEY": "hunter2"})
    assert place.name == "s3://logs/dead?endpoint=http://127.0.0.1:9000"


class _Faulty(BaseHTTPRequestHandler):
    """Has one object: answers 503 once, then cuts the connection in the middle of it, then serves what is asked."""

    protocol_version = "HTTP/1.1"
    data: ClassVar[bytes] = b""
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.seen.append(wanted)
        if len(self.seen) == 1:
            self._answer(503, b"<Error><Code>SlowDown</Code></Error>", 0)
            return
        begin = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        rest = self.data[begin:]
        cut = len(rest) // 2 if len(self.seen) == 2 else 0
        self._answer(206 if begin else 200, rest[: len(rest) - cut], cut)

    def _answer(self, status: int, body: bytes, missing: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + missing))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = bool(missing)

    def log_message(self, *arguments: object) -> None:
        """Nothing is logged."""


def test_a_server_that_is_busy_and_a_connection_that_is_cut_cost_no_envelope() -> None:
    _Faulty.data = b"".join(envelope_line(letter(n * 3 + 1, n * 3 + 3), RESOURCE) + b"\n" for n in range(2000))
    _Faulty.seen.clear()
    told: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Faulty) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            environ = {
                "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}",
                "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
                "AWS_SECRET_ACCESS_KEY": "x",
                "AWS_REGION": "eu-west-1",
            }
            place = open_place("s3://logs/dead", environ, patience_with(told=told))
            contents = read_file(place, StoredFile("dead/a.ndjson", len(_Faulty.data)))
        finally:
            server.shutdown()
            thread.join()
    assert contents.troubles == []
    assert [one.batch.first_seq for one in contents.envelopes] == list(range(1, 6000, 3))
    half, whole = len(_Faulty.data) - len(_Faulty.data) // 2, len(_Faulty.data)
    assert _Faulty.seen == ["", "", f"bytes={half}-"]
    assert [sentence.partition(" (attempt")[0] for sentence in told] == [
        "s3://logs/dead/a.ndjson cannot be read: status 503 SlowDown",
        f"s3://logs/dead/a.ndjson cannot be read to its end ({half} of {whole} bytes were read):"
        " the connection was cut",
    ]
