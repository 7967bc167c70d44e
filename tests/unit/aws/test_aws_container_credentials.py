"""Credentials that expire: asked for, kept, renewed, and used to their end."""

from __future__ import annotations

import json

import pytest

from tailrace.aws.container_credentials import ContainerCredentials
from tailrace.aws.credentials import credentials_source
from tailrace.errors import ConfigError, ConnectError
from tailrace.pipeline.times import epoch_ms

URL = "http://127.0.0.1:9001/2021-04-23/credentials"
NOON_S = 1_767_355_200.0  # 2026-01-02T12:00:00Z


class Endpoint:
    """Answers with keys that are numbered and last an hour, or with what it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[tuple[str, str]]]] = []
        self.answer: tuple[int, bytes] | None = None
        self.is_down = False

    def __call__(self, url: str, headers: list[tuple[str, str]]) -> tuple[int, bytes]:
        self.asked.append((url, headers))
        if self.is_down:
            raise ConnectError("connection refused")
        if self.answer is not None:
            return self.answer
        keys = {"AccessKeyId": f"key{len(self.asked)}", "SecretAccessKey": "hunter2", "Token": "t"}
        return 200, json.dumps({**keys, "Expiration": "2026-01-02T13:00:00Z"}).encode()


def source_of(endpoint: Endpoint) -> ContainerCredentials:
    return ContainerCredentials(URL, "token", endpoint, epoch_ms)


def test_they_are_asked_for_with_the_token_and_kept_until_shortly_before_their_end() -> None:
    endpoint = Endpoint()
    source = source_of(endpoint)
    assert source(NOON_S).access_key_id == "key1"
    assert source(NOON_S + 3299).access_key_id == "key1"
    assert endpoint.asked == [(URL, [("Authorization", "token")])]
    assert source(NOON_S + 3300).access_key_id == "key2"


def test_old_ones_are_used_to_their_end_while_there_are_no_fresh_ones() -> None:
    endpoint = Endpoint()
    source = source_of(endpoint)
    source(NOON_S)
    endpoint.is_down = True
    assert source(NOON_S + 3599).access_key_id == "key1"
    with pytest.raises(ConnectError, match=r"does not answer \(connection refused\)"):
        source(NOON_S + 3600)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_an_endpoint_that_has_a_trouble_of_its_own_is_no_refusal(status: int) -> None:
    endpoint = Endpoint()
    source = source_of(endpoint)
    source(NOON_S)
    endpoint.answer = (status, b"hunter2")
    assert source(NOON_S + 3599).access_key_id == "key1"
    with pytest.raises(ConnectError, match=f"AWS_CONTAINER_CREDENTIALS_FULL_URI answers with status {status}$"):
        source(NOON_S + 3600)
    endpoint.answer = None
    assert source(NOON_S + 3601).access_key_id == "key4"


@pytest.mark.parametrize(
    "answer",
    [
        (404, b"cannot get credentials for the provided token"),
        (200, b"not JSON hunter2"),
        (200, b"[]"),
        (200, b'{"AccessKeyId":"a"}'),
        (200, b'{"AccessKeyId":"a","SecretAccessKey":"hunter2","Token":"x\\r\\nEvil: y"}'),
    ],
)
def test_an_odd_answer_is_named_without_what_it_holds(answer: tuple[int, bytes]) -> None:
    endpoint = Endpoint()
    endpoint.answer = answer
    with pytest.raises(ConfigError) as caught:
        source_of(endpoint)(NOON_S)
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_without_a_usable_end_they_are_asked_for_each_time() -> None:
    endpoint = Endpoint()
    endpoint.answer = (200, b'{"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"tomorrow"}')
    source = source_of(endpoint)
    source(NOON_S)
    source(NOON_S)
    assert len(endpoint.asked) == 2


def test_static_keys_win_over_the_endpoint() -> None:
    made: list[tuple[str, str]] = []

    def container(url: str, token: str) -> ContainerCredentials:
        made.append((url, token))
        return source_of(Endpoint())

    both = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": URL, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token"}
    assert credentials_source(both, container)(NOON_S).access_key_id == "key1"
    assert made == [(URL, "token")]
    static = {**both, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert credentials_source(static, container)(NOON_S).access_key_id == "a"
