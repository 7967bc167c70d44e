from __future__ import annotations

import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.urls import MASK, decode, encode, looks_like_token, parse_url, without_secrets
from tailrace.config.wrong_urls import in_error, shown
from tailrace.errors import ConfigError

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def test_a_url_in_its_parts() -> None:
    url = parse_url("HTTPS://us%40er:p%3Aw@Example.com:8443/a%20b/c?x=1&y&z=%C3%BC=&&x=2", "URL")
    assert (url.scheme, url.username, url.password, url.host, url.port) == (
        "https",
        "us@er",
        "p:w",
        "Example.com",
        8443,
    )
    assert url.path == "/a%20b/c"
    assert [(item.key, item.value) for item in url.query] == [("x", "1"), ("y", None), ("z", "ü="), ("x", "2")]


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("http://[::1]:8080/x", "::1", 8080, "/x"),
        ("http://[fe80::1]", "fe80::1", None, ""),
        ("http://127.0.0.1", "127.0.0.1", None, ""),
        ("http://host:/", "host", None, "/"),
        ("file:///tmp/a", "", None, "/tmp/a"),
        ("stdout:", "", None, ""),
        ("stdout://", "", None, ""),
        ("s3://bucket", "bucket", None, ""),
    ],
)
def test_hosts_ports_and_paths(text: str, host: str, port: int | None, path: str) -> None:
    url = parse_url(text, "URL")
    assert (url.host, url.port, url.path) == (host, port, path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no scheme"),
        ("/tmp/logs", 'no scheme in "/tmp/logs"'),
        ("hunter2", 'no scheme in "***"'),
        ("1http://x", "no scheme"),
        ("ht_tp://x", "no scheme"),
        ("http://x/a b", "blank"),
        ("http://x/\r\nHost:y", "control"),
        ("http://x/\udcff", "broken UTF-8"),
        ("http://x:port/", "port"),
        ("http://x:0/", "port"),
        ("http://x:65536/", "port"),
        ("http://x:٣/", "port"),
        ("http://::1/", "brackets"),
        ("http://[::1/", "IPv6"),
        ("http://[x]/", "IPv6"),
        ("http://[::1]x/", "IPv6"),
        ("http://münchen.example/", "host name"),
        ("http://x/%zz", "percent"),
        ("http://x/%4", "percent"),
        ("http://x/%+1", "percent"),
        ("http://x/?a=%ff", "percent"),
        ("http://x/#frag", "fragment"),
    ],
)
def test_what_is_no_url_is_said_with_the_setting(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(text, "TAILRACE_X")
    assert caught.value.setting == "TAILRACE_X"
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@h:port/",
        "https://user:hunter2",
        "https://user:hun#hunter2@h",
        "https://user:hun/hunter2@h:1",
        "https://h/hunter2hunter2hunter2hunter2#x",
        "https://h/?key=hunter2#",
        "https://hunter2@h/%zz",
        "hunter2",
        "hunter2@h/x",
        "/x/hunter2@h",
        "https://h\n/hunter2",
    ],
)
def test_errors_tell_no_secret(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(text, "URL")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h.example/path?tailrace-format=array", "https://h.example/path?tailrace-format=array"),
        ("https://u:p@h:1/a", "https://***@h:1/a"),
        ("https://u@[::1]:1/a", "https://***@[::1]:1/a"),
        ("https://h/?token=x&tailrace-format=array&flag", "https://h/?token=***&tailrace-format=array&***"),
        ("https://h/?a1b2c3d4e5f6a1b2c3d4e5f6=x", "https://h/?***"),
        ("https://h/http/ZaVnC4dhaV3abcdefghij12==", "https://h/http/***"),
        ("https://h/bulk/0b1c2d3e-1111-2222-3333-444455556666/tag/x", "https://h/bulk/***/tag/x"),
        ("https://h/a-rather-long-word-of-letters-only/v1", "https://h/a-rather-long-word-of-letters-only/v1"),
        ("https://h/?tailrace-format=http://u:p@h", "https://h/?***"),
        ("https://h/?tailrace-format=http://h/ZaVnC4dhaV3abcdefghij1234", "https://h/?tailrace-format=***"),
        ("https:///joe:hunter2@h/x", "https:///***@h/x"),
        ("https:/joe:hunter2@h/x", "https:/***@h/x"),
        ("https:joe:hunter2@h/x", "https:***@h/x"),
        ("https:\\\\joe:hunter2@h", "https:***@h"),
        ("https://h/joe:hun/ter2@h", "https://h/***@h"),
        ("stdout:", "stdout:"),
        ("stdout://", "stdout://"),
        ("file:///tmp/x", "file:///tmp/x"),
    ],
)
def test_a_url_is_shown_without_its_secrets(text: str, expected: str) -> None:
    assert without_secrets(parse_url(text, "URL"), ("tailrace-format",)) == expected


def test_paths_of_our_own_stores_are_shown_whole() -> None:
    url = parse_url("file:///tmp/pytest-of-me-0/test_with_a_long_name_12", "URL")
    assert without_secrets(url, mask_path=False) == "file:///tmp/pytest-of-me-0/test_with_a_long_name_12"


def test_reprs_tell_no_secret() -> None:
    url = parse_url("https://u:hunter2@h/?token=hunter2", "URL")
    assert "hunter2" not in repr(url) + repr(url.query)


@given(any_text, any_text, any_text)
def test_masked_parts_never_appear(user: str, password: str, value: str) -> None:
    secret = "S3CR3T"
    text = f"https://{encode(user, '')}:{encode(password + secret, '')}@h/?k={encode(value + secret, '')}"
    masked = without_secrets(parse_url(text, "URL"))
    assert masked == f"https://{MASK}@h/?k={MASK}"
    assert secret not in shown(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h.example/path?tailrace-format=array", "https://h.example/path?tailrace-format=***"),
        ("https:///joe:hunter2", "https:***"),
        ("https:///joe:hunter2@h", "https:***"),
        ("https:/hunter2", "https:***"),
        ("file:///tmp/x?compres=gzip", "file:///tmp/x?compres=***"),
    ],
)
def test_an_error_shows_only_what_stands_in_its_place(text: str, expected: str) -> None:
    assert in_error(parse_url(text, "URL")) == expected


@given(any_text)
def test_encoding_is_that_of_the_standard_library_and_can_be_undone(text: str) -> None:
    assert encode(text, "/") == urllib.parse.quote(text, safe="/-._~")
    assert decode(encode(text, "/")) == text


@given(st.text(max_size=60))
def test_anything_parses_or_is_refused(text: str) -> None:
    shown(text)
    try:
        url = parse_url(text, "URL")
    except ConfigError as error:
        assert str(error)  # noqa: PT017 - most texts are refused, and either way is right
    else:
        without_secrets(url)


def test_words_are_no_tokens_and_tokens_are() -> None:
    assert not looks_like_token("logs-2026")
    assert not looks_like_token("a" * 40)
    assert not looks_like_token("1" * 40)
    assert looks_like_token("a1" * 12)
