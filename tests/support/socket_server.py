"""A server on loopback that says exactly what a test tells it to, byte for byte."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable

LIMIT_S = 20.0


class Peer:
    """One accepted connection, on the server's side."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._rest = b""

    def read_request(self) -> tuple[bytes, bytes]:
        """Head and body (by Content-Length) of the next request. Empty at the end of the connection."""
        while b"\r\n\r\n" not in self._rest:
            data = self.sock.recv(65536)
            if not data:
                return b"", b""
            self._rest += data
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(self._rest) < length:
            data = self.sock.recv(65536)
            assert data, "the request was cut short"
            self._rest += data
        body, self._rest = self._rest[:length], self._rest[length:]
        return head, body

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """Hang up with a reset instead of a polite end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.sock.close()


class SocketServer:
    """Runs `behave` for each connection in turn, one after the other; its failures fail the test at the end."""

    def __init__(
        self,
        *behave: Callable[[Peer], None],
        context: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        family: socket.AddressFamily = socket.AF_INET,
    ) -> None:
        self._behave = behave
        self._context = context
        self._sock = socket.create_server((host, 0), family=family)
        self._sock.settimeout(LIMIT_S)
        self.port: int = self._sock.getsockname()[1]
        self.accepted = 0
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> SocketServer:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self._thread.join(LIMIT_S)
        self._sock.close()
        assert not self._thread.is_alive()
        if kind is None and self._failures:
            raise self._failures[0]

    def _run(self) -> None:
        for behave in self._behave:
            try:
                sock, _ = self._sock.accept()
                self.accepted += 1
                sock.settimeout(LIMIT_S)
                self._serve(sock, behave)
            except BaseException as error:  # noqa: BLE001 - carried over to the test's thread
                self._failures.append(error)
                return
        self._sock.close()

    def _serve(self, sock: socket.socket, behave: Callable[[Peer], None]) -> None:
        with sock:
            if self._context is None:
                behave(Peer(sock))
                return
            try:
                secured = self._context.wrap_socket(sock, server_side=True)
            except (ssl.SSLError, OSError):
                return  # refused by the client, which is what such a test is about
            with secured:
                behave(Peer(secured))
