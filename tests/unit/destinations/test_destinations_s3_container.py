"""S3 with credentials from the endpoint that Lambda names under SnapStart, over a real socket."""

from __future__ import annotations

import json

import pytest

from support.socket_server import Peer, SocketServer
from tailrace.config.settings import load_settings
from tailrace.destinations.registry import build_destinations
from tailrace.errors import ConfigError, ConnectError
from tailrace.model.batch import Batch
from tailrace.model.resource import Resource
from tailrace.pipeline.messages import HttpRequest

BATCH = Batch([b"{}"], 1, 1, "2026-01-02T03:04:05.678Z")
NOON_S = 1_767_355_200.0


def request_of(port: int) -> HttpRequest:
    environ = {
        "TAILRACE_DESTINATIONS": "s3://telemetry",
        "AWS_REGION": "eu-west-1",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}/2021-04-23/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "the-token",
    }
    (destination,) = build_destinations(environ, load_settings(environ)).destinations
    request = destination.build_request(BATCH, Resource("billing", "env-1"), NOON_S)
    assert isinstance(request, HttpRequest)
    return request


def test_they_are_fetched_with_the_token_and_sign_the_request() -> None:
    seen: list[bytes] = []
    keys = {"AccessKeyId": "ASIAFRESH", "SecretAccessKey": "s", "Token": "session"}
    body = json.dumps({**keys, "Expiration": "2026-01-02T18:00:00Z"}).encode()

    def answer(peer: Peer) -> None:
        seen.append(peer.read_request()[0])
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with SocketServer(answer) as server:
        headers = dict(request_of(server.port).headers)
    assert seen[0].startswith(b"GET /2021-04-23/credentials HTTP/1.1\r\n")
    assert b"\r\nAuthorization: the-token" in seen[0]
    lower = {name.lower(): value for name, value in headers.items()}
    assert "Credential=ASIAFRESH/" in lower["authorization"]
    assert lower["x-amz-security-token"] == "session"


def test_an_endpoint_that_refuses_keeps_the_request_from_being_built() -> None:
    def refuse(peer: Peer) -> None:
        peer.read_request()
        peer.say(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with SocketServer(refuse) as server, pytest.raises(ConfigError, match="answers with status 404"):
        request_of(server.port)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", b""]
)
def test_an_endpoint_that_fails_for_the_moment_is_a_failed_attempt_and_no_more(answer: bytes) -> None:
    def fail(peer: Peer) -> None:
        peer.read_request()
        peer.say(answer)

    with SocketServer(fail) as server, pytest.raises(ConnectError, match="AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        request_of(server.port)
