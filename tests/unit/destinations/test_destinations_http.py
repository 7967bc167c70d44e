from __future__ import annotations

import base64
import email.utils
import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.destination_cases import RESOURCE, WALL_S, batch, build, record
from tailrace.destinations._replies import http_date_s
from tailrace.pipeline.messages import AUTHENTICATION, DELIVERED, POISONED, REJECTED, RETRY, SPLIT, HttpRequest, Reply
from tailrace.version import __version__


def request_to(url: str, headers: str = "") -> HttpRequest:
    destination = build(url, TAILRACE_HTTP_HEADERS=headers)
    request = destination.build_request(batch(destination, [record(7), record(8)]), RESOURCE, WALL_S)
    assert isinstance(request, HttpRequest)
    return request


def test_lines_are_posted_by_default() -> None:
    request = request_to("http://h.example")
    assert (request.method, request.tls, request.host, request.port, request.target) == (
        "POST", False, "h.example", 80, "/",
    )  # fmt: skip
    checksum = zlib.crc32(request.body)
    assert dict(request.headers) == {
        "Content-Type": "application/x-ndjson",
        "User-Agent": f"tailrace/{__version__}",
        "Idempotency-Key": f"2026_11_20___LATEST_0123abcd-00000007-00000008-{checksum:08x}",
    }
    assert [json.loads(line)["seq"] for line in request.body.splitlines()] == [7, 8]


def test_an_array_and_gzip_on_request() -> None:
    request = request_to("https://h.example/in?tailrace-format=array&tailrace-compress=gzip")
    headers = dict(request.headers)
    assert (request.tls, request.port, request.target) == (True, 443, "/in")
    assert (headers["Content-Type"], headers["Content-Encoding"]) == ("application/json", "gzip")
    assert [line["seq"] for line in json.loads(gzip.decompress(request.body))] == [7, 8]


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://h/a%2Fb?x=1&tailrace-format=array&y=%20&z", "/a%2Fb?x=1&y=%20&z"),
        ("https://h?query=INSERT%20INTO%20logs", "/?query=INSERT%20INTO%20logs"),
        ("https://h?tailrace-format=ndjson", "/"),
        ("https://h/ü|x", "/%C3%BC%7Cx"),
        ("https://h/a;b,c:d@e!$'()*+", "/a;b,c:d@e!$'()*+"),
    ],
)
def test_the_servers_part_of_the_url_passes_through(url: str, target: str) -> None:
    assert request_to(url).target == target


def test_user_information_becomes_basic_authorization() -> None:
    headers = dict(request_to("https://us%3Aer:p%40ss@h/").headers)
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"us:er:p@ss"
    assert base64.b64decode(dict(request_to("https://key@h/").headers)["Authorization"][6:]) == b"key:"


def test_the_users_headers_win_over_ours() -> None:
    headers = request_to("https://u:p@h/", "authorization: Bearer t\ncontent-type: text/plain\nX-Own: 1").headers
    assert [value for name, value in headers if name.lower() == "authorization"] == ["Bearer t"]
    assert [value for name, value in headers if name.lower() == "content-type"] == ["text/plain"]
    assert ("X-Own", "1") in headers


@pytest.mark.parametrize(
    ("status", "headers", "kind", "said"),
    [
        (200, {}, DELIVERED, ""),
        (202, {}, DELIVERED, ""),
        (204, {}, DELIVERED, ""),
        (408, {}, RETRY, "408"),
        (425, {}, RETRY, "425"),
        (429, {}, RETRY, "429"),
        (500, {}, RETRY, "500"),
        (599, {}, RETRY, "599"),
        (401, {}, AUTHENTICATION, "credentials"),
        (403, {}, AUTHENTICATION, "credentials"),
        (413, {}, SPLIT, "too large"),
        (400, {}, POISONED, "400"),
        (422, {}, POISONED, "422"),
        (404, {}, REJECTED, "404"),
        (307, {"location": "https://new.example:8443/x?k=hunter2"}, REJECTED, "307: redirected, which is not followed"),
        (301, {"location": "/relative"}, REJECTED, "redirected, which is not followed"),
        (301, {}, REJECTED, "redirected, which is not followed"),
    ],
)
def test_what_replies_mean(status: int, headers: dict[str, str], kind: str, said: str) -> None:
    outcome = build("https://h/").classify(Reply(status, headers, b"hunter2"))
    assert outcome.kind == kind
    assert said in outcome.reason
    assert "hunter2" not in outcome.reason


def test_every_redirect_has_one_reason_and_its_host_is_a_detail_for_the_log() -> None:
    replies = [Reply(307, {"location": f"https://host{n}.example:8443/x?k=hunter2"}) for n in range(3)]
    outcomes = [build("https://h/").classify(reply) for reply in replies]
    assert len({outcome.reason for outcome in outcomes}) == 1
    assert [outcome.details for outcome in outcomes] == [{"redirectedTo": f"host{n}.example"} for n in range(3)]
    assert build("https://h/").classify(Reply(301, {"location": "/relative"})).details == {}


@pytest.mark.parametrize(
    ("said", "date", "expected"),
    [
        ("120", "", 120),
        ("0", "", 0),
        ("9" * 30, "", 86_400),
        ("-1", "", None),
        ("1.5", "", None),
        ("soon", "", None),
        ("", "", None),
        ("Fri, 20 Nov 2026 21:30:30 GMT", "Fri, 20 Nov 2026 21:30:00 GMT", 30),
        ("Fri, 20 Nov 2026 21:29:30 GMT", "Fri, 20 Nov 2026 21:30:00 GMT", 0),
        ("Fri, 20 Nov 2099 21:29:30 GMT", "Fri, 20 Nov 2026 21:30:00 GMT", 86_400),
        ("Fri, 20 Nov 2026 21:30:30 GMT", "", None),
        ("Fri, 20 Foo 2026 21:30:30 GMT", "Fri, 20 Nov 2026 21:30:00 GMT", None),
    ],
)
def test_servers_say_when_to_come_back(said: str, date: str, expected: float | None) -> None:
    reply = Reply(429, {"retry-after": said, "date": date})
    assert build("https://h/").classify(reply).retry_after_s == expected


@given(st.integers(0, 253_402_300_799))
def test_http_dates_are_read_as_the_standard_library_writes_them(seconds: int) -> None:
    assert http_date_s(email.utils.formatdate(seconds, usegmt=True)) == seconds


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_dates(text: str) -> None:
    http_date_s(text)
