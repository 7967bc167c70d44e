from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from support.socket_server import Peer, SocketServer
from tailrace.clock import SystemClock
from tailrace.errors import ConnectError
from tailrace.pipeline.messages import HttpRequest
from tailrace.pipeline.wire.http_transport import HttpTransport
from tailrace.pipeline.wire.tls import BUNDLES, HASHED_DIRECTORIES, find_authorities

LIMIT_S = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def bundle(authority: trustme.CA, folder: Path) -> str:
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def context_for(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def twice(peer: Peer) -> None:
    for _ in range(2):
        _, body = peer.read_request()
        assert body == b"secret data"
        peer.say(OK)


def never(peer: Peer) -> None:
    raise AssertionError("the handshake should not have succeeded")


def post(port: int, host: str = "localhost") -> HttpRequest:
    return HttpRequest("POST", True, host, port, "/", [], b"secret data")


def test_a_certificate_of_a_trusted_authority_is_accepted_and_the_connection_kept(
    authority: trustme.CA, tmp_path: Path
) -> None:
    with SocketServer(twice, context=context_for(authority, "localhost")) as server:
        transport = HttpTransport(SystemClock(), {"SSL_CERT_FILE": bundle(authority, tmp_path)})
        for _ in range(2):
            assert transport.send(post(server.port), LIMIT_S).body == b"ok"
        transport.close()
    assert server.accepted == 1


def test_a_certificate_of_another_authority_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    with SocketServer(never, context=context_for(trustme.CA(), "localhost")) as server:
        transport = HttpTransport(SystemClock(), {"SSL_CERT_FILE": bundle(authority, tmp_path)})
        with pytest.raises(ConnectError, match=r"^certificate of localhost is not accepted: .*issuer"):
            transport.send(post(server.port), LIMIT_S)


def test_a_certificate_of_another_host_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    with SocketServer(never, context=context_for(authority, "elsewhere.example")) as server:
        transport = HttpTransport(SystemClock(), {"SSL_CERT_FILE": bundle(authority, tmp_path)})
        with pytest.raises(ConnectError, match=r"certificate of localhost is not accepted: Hostname mismatch"):
            transport.send(post(server.port), LIMIT_S)


def test_an_address_is_checked_as_a_name_is(authority: trustme.CA, tmp_path: Path) -> None:
    with SocketServer(twice, context=context_for(authority, "127.0.0.1")) as server:
        transport = HttpTransport(SystemClock(), {"SSL_CERT_FILE": bundle(authority, tmp_path)})
        for _ in range(2):
            assert transport.send(post(server.port, "127.0.0.1"), LIMIT_S).status == 200
        transport.close()


def test_who_does_not_speak_tls_is_refused_before_anything_is_sent(authority: trustme.CA, tmp_path: Path) -> None:
    def behave(peer: Peer) -> None:
        assert b"secret data" not in peer.sock.recv(65536)
        peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with SocketServer(behave) as server:
        transport = HttpTransport(SystemClock(), {"SSL_CERT_FILE": bundle(authority, tmp_path)})
        with pytest.raises(ConnectError, match=r"^TLS handshake failed: "):
            transport.send(post(server.port), LIMIT_S)


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    def behave(peer: Peer) -> None:
        assert peer.sock.recv(1) == b""

    with SocketServer(behave) as server:
        transport = HttpTransport(SystemClock(), {"SSL_CERT_FILE": str(tmp_path / "missing.pem")})
        with pytest.raises(ConnectError, match=r"cannot be read: SSL_CERT_FILE .*missing\.pem"):
            transport.send(post(server.port), LIMIT_S)


class Files:
    """A machine with these directories and files."""

    def __init__(self, **directories: list[str]) -> None:
        self.directories = directories

    def names(self, path: str) -> list[str]:
        if path not in self.directories:
            raise FileNotFoundError(path)
        return self.directories[path]


def nothing_is_a_file(path: str) -> bool:
    return False


def test_what_the_user_names_wins_over_everything() -> None:
    debian = Files(**{"/etc/ssl/certs": ["002c0b4f.0"]})
    chosen = {"SSL_CERT_FILE": "/my/ca.pem"}
    assert find_authorities(chosen, debian.names, nothing_is_a_file) == ("/my/ca.pem", None)
    chosen = {"SSL_CERT_DIR": "/my/certs", "SSL_CERT_FILE": ""}
    assert find_authorities(chosen, debian.names, nothing_is_a_file) == (None, "/my/certs")


@pytest.mark.parametrize("directory", HASHED_DIRECTORIES)
def test_a_hashed_directory_is_taken_before_any_bundle(directory: str) -> None:
    machine = Files(**{directory: ["ca.pem", "002c0b4f.0"]})
    assert find_authorities({}, machine.names, lambda _: True) == (None, directory)


@pytest.mark.parametrize("path", BUNDLES)
def test_a_directory_without_hashed_names_is_passed_over_for_a_bundle(path: str) -> None:
    machine = Files(**{"/etc/pki/tls/certs": ["ca-bundle.crt", "Makefile"], "/etc/ssl/certs": []})
    assert find_authorities({}, machine.names, lambda candidate: candidate == path) == (path, None)


def test_a_machine_without_authorities_is_told_what_to_set() -> None:
    with pytest.raises(ConnectError, match="SSL_CERT_FILE"):
        find_authorities({}, Files().names, nothing_is_a_file)
