"""`tailrace config check --reach`: who is there, who is not, and why; with real sockets."""

from __future__ import annotations

import json
import os
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from support.commands import TAILRACE, tailrace
from support.moto_s3 import MotoS3, start_moto_s3
from support.socket_server import Peer, SocketServer
from tailrace.aws.credentials import Credentials

SECRET = "hunter2"
PLAIN = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET}


def reach(*options: str, exit_code: int, **environ: str) -> dict[str, dict[str, str]]:
    """What each destination answered, by name."""
    result = tailrace("config", "check", "--reach", "--json", *options, env={**PLAIN, **environ})
    assert result.returncode == exit_code, result.stdout + result.stderr
    assert SECRET not in result.stdout + result.stderr
    return {one["name"]: one for one in json.loads(result.stdout)["reach"]}


def answering(status: str, seen: list[bytes] | None = None) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        head, _ = peer.read_request()
        if seen is not None:
            seen.append(head)
        peer.say(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    return behave


def s3_at(port: int, scheme: str = "http", host: str = "127.0.0.1") -> dict[str, str]:
    return {**KEYS, "AWS_ENDPOINT_URL_S3": f"{scheme}://{host}:{port}", "TAILRACE_DESTINATIONS": "s3://logs/shop"}


@pytest.mark.parametrize(
    ("status", "state", "reason", "exit_code"),
    [
        ("200 OK", "reachable", "", 0),
        ("403 Forbidden", "not allowed", 's3 bucket "logs": access denied (status 403)', 1),
        ("404 Not Found", "refused", "the bucket does not exist: create it, or correct its name", 1),
        ("503 Slow Down", "refused", 's3 bucket "logs": status 503', 1),
    ],
)
def test_a_bucket_is_asked_with_a_signed_head_and_its_answer_is_told(
    status: str, state: str, reason: str, exit_code: int
) -> None:
    seen: list[bytes] = []
    with SocketServer(answering(status, seen)) as server:
        answer = reach(exit_code=exit_code, **s3_at(server.port))["s3://logs/shop"]
    assert answer["state"] == state
    assert reason in answer["reason"]
    assert bool(answer["remedy"]) == (state != "reachable")
    assert seen[0].startswith(b"HEAD /logs HTTP/1.1\r\n")
    assert b"authorization: aws4-hmac-sha256 credential=akiaexample" in seen[0].lower()
    assert b"x-amz-security-token" not in seen[0].lower()


@pytest.mark.parametrize(
    ("status", "state", "exit_code"),
    [
        ("204 No Content", "reachable", 0),
        ("405 Method Not Allowed", "reachable", 0),
        ("401 Unauthorized", "not allowed", 1),
        ("404 Not Found", "refused", 1),
        ("302 Found", "refused", 1),
        ("502 Bad Gateway", "refused", 1),
    ],
)
def test_a_web_server_is_asked_for_its_options_with_its_own_headers_and_nothing_is_posted(
    status: str, state: str, exit_code: int
) -> None:
    seen: list[bytes] = []
    with SocketServer(answering(status, seen)) as server:
        url = f"http://127.0.0.1:{server.port}/in?key={SECRET}"
        answers = reach(
            exit_code=exit_code, TAILRACE_DESTINATIONS=url, TAILRACE_HTTP_HEADERS=f"Authorization: Bearer {SECRET}"
        )
    (answer,) = answers.values()
    assert (answer["name"], answer["state"]) == (f"http://127.0.0.1:{server.port}/in?key=***", state)
    assert f"status {status[:3]} to OPTIONS" in answer["reason"]
    assert seen[0].startswith(f"OPTIONS /in?key={SECRET} HTTP/1.1\r\n".encode())
    assert f"Authorization: Bearer {SECRET}".encode() in seen[0]


def test_who_takes_the_question_and_never_answers_is_given_up_in_time() -> None:
    done = threading.Event()

    def hang(peer: Peer) -> None:
        peer.read_request()
        done.wait(20)

    with SocketServer(hang) as server:
        answer = reach("--timeout", "0.3", exit_code=1, **s3_at(server.port))["s3://logs/shop"]
        done.set()
    assert answer["state"] == "no answer in time"
    assert answer["reason"].endswith("0.3 s")
    assert "--timeout" in answer["remedy"]


def test_nobody_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answer = reach(exit_code=1, **s3_at(port))["s3://logs/shop"]
    assert (answer["state"], answer["reason"].partition(":")[0]) == (
        "refused",
        "connection refused (127.0.0.1",
    )


def test_no_such_host() -> None:
    answers = reach(exit_code=1, TAILRACE_DESTINATIONS="http://no-such-host.invalid/in")
    answer = answers["http://no-such-host.invalid/in"]
    assert (answer["state"], answer["reason"]) == ("refused", "name not resolved: no-such-host.invalid")


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_certificate_of_a_stranger_is_refused_and_that_of_a_named_authority_is_not(
    tmp_path: Path, is_trusted: bool
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    (authority if is_trusted else trustme.CA()).cert_pem.write_to_path(tmp_path / "ca.pem")
    with SocketServer(answering("200 OK"), context=context) as server:
        environ = {**s3_at(server.port, "https", "localhost"), "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        answer = reach(exit_code=0 if is_trusted else 1, **environ)["s3://logs/shop"]
    if is_trusted:
        assert answer["state"] == "reachable"
    else:
        assert answer["state"] == "refused"
        assert answer["reason"].startswith("certificate of localhost is not accepted: ")
        assert "SSL_CERT_FILE" in answer["reason"]


@pytest.fixture(scope="module")
def s3() -> Iterator[MotoS3]:
    with start_moto_s3() as server:
        yield server


def test_a_real_s3_api_knows_its_bucket_its_users_and_nobody_else(s3: MotoS3) -> None:
    wanted = {"TAILRACE_DESTINATIONS": f"s3://{s3.bucket}/shop s3://no-such-bucket"}
    answers = reach(exit_code=1, **s3.environ(), **wanted)
    assert answers[f"s3://{s3.bucket}/shop"]["state"] == "reachable"
    assert answers["s3://no-such-bucket"]["state"] == "refused"
    stranger = Credentials("AKIASTRANGER00000000", SECRET)
    answers = reach(exit_code=1, **s3.environ(stranger), TAILRACE_DESTINATIONS=f"s3://{s3.bucket}")
    assert answers[f"s3://{s3.bucket}"]["state"] == "not allowed"


def test_without_credentials_of_ones_own_a_bucket_is_not_asked_with_made_up_ones() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        environ = {
            name: value for name, value in s3_at(server.getsockname()[1]).items() if not name.startswith("AWS_A")
        }
        environ = {name: value for name, value in environ.items() if name != "AWS_SECRET_ACCESS_KEY"}
        environ["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{server.getsockname()[1]}"
        answer = reach(exit_code=1, **environ)["s3://logs/shop"]
        with pytest.raises(BlockingIOError):
            server.accept()
    assert answer["state"] == "not allowed"
    assert "aws configure export-credentials" in answer["remedy"]


def test_folders_and_standard_output_cannot_be_asked_and_cost_no_failure_and_dead_letters_are_asked_too(
    tmp_path: Path,
) -> None:
    with SocketServer(answering("200 OK")) as server:
        environ = {
            **s3_at(server.port),
            "TAILRACE_DESTINATIONS": f"file://{tmp_path}/out stdout:",
            "TAILRACE_DEAD_LETTER": "s3://dead",
        }
        answers = reach(exit_code=0, **environ)
    assert [(name, one["state"]) for name, one in answers.items()] == [
        (f"file://{tmp_path}/out", "no cheap question exists"),
        ("stdout:", "no cheap question exists"),
        ("s3://dead", "reachable"),
    ]
    assert not (tmp_path / "out").exists()


def test_for_people_there_is_one_line_each_behind_the_check_and_a_problem_stands_over_an_unreachable_place() -> None:
    with SocketServer(answering("405 Method Not Allowed")) as server:
        url = f"http://user:{SECRET}@127.0.0.1:{server.port}/in"
        result = tailrace("config", "check", "--reach", env={**PLAIN, "TAILRACE_DESTINATIONS": f"{url} fil:///x"})
    assert result.returncode == 2
    assert SECRET not in result.stdout + result.stderr
    line = result.stdout.splitlines()[-1]
    assert line == (
        f"reach http://***@127.0.0.1:{server.port}/in  reachable: status 405 to OPTIONS;"
        " whether it takes records only a delivery shows"
    )
    assert "waiting for" not in result.stderr  # nobody looks


def test_on_a_terminal_it_is_shown_who_is_waited_for() -> None:
    release = threading.Event()

    def answer_late(peer: Peer) -> None:
        peer.read_request()
        release.wait(20)
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with SocketServer(answer_late) as server:
        controller, terminal = os.openpty()
        try:
            environ = {**PLAIN, **s3_at(server.port), "TERM": "xterm", "COLUMNS": "120"}
            child = subprocess.Popen(
                [TAILRACE, "config", "check", "--reach", "--timeout", "20"],
                env=environ, stdout=subprocess.DEVNULL, stderr=terminal,
            )  # fmt: skip
            shown = b""
            while b"waiting for s3://logs/shop" not in shown:
                assert select.select([controller], [], [], 30)[0], shown
                shown += os.read(controller, 4096)
            release.set()
            assert child.wait(30) == 0
        finally:
            os.close(controller)
            os.close(terminal)
