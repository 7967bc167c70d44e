"""An HTTP back end on loopback that answers when the test says so, and can reset its connections."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

LIMIT_S = 30.0


class GatedSink:
    """Keeps what it is sent at once; answers while its gate is open, `status_of` says with what (default 200)."""

    def __init__(self, status_of: Callable[[bytes], int] = lambda body: 200) -> None:
        self.bodies: list[bytes] = []
        self.answered = 0
        self.connections: list[socket.socket] = []
        self._is_open = True
        self._status_of = status_of
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.open_gate()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def close_gate(self) -> None:
        with self._changed:
            self._is_open = False

    def open_gate(self) -> None:
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def records(self) -> list[Any]:
        """The records of all lines, in order of arrival."""
        with self._changed:
            return [json.loads(text)["record"] for body in self.bodies for text in body.splitlines()]

    def wait_until(self, holds: Callable[[GatedSink], bool]) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: holds(self), LIMIT_S):
                raise AssertionError(f"the sink waited in vain; it has {self.bodies}")

    def wait_for_record(self, record: object) -> None:
        self.wait_until(lambda sink: json.dumps(record).encode() in b"".join(sink.bodies))

    def reset_connections(self) -> None:
        """As a load balancer does with connections that idle for too long."""
        with self._changed:
            for connection in self.connections:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                connection.shutdown(socket.SHUT_RD)  # its thread reads the end and closes: that sends the reset

    def take(self, body: bytes) -> int:
        """Keep `body`, wait for the gate, say the status."""
        with self._changed:
            self.bodies.append(body)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_open, LIMIT_S)
            return self._status_of(body)

    def has_answered(self) -> None:
        with self._changed:
            self.answered += 1
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def setup(self) -> None:
                super().setup()
                sink.connections.append(self.connection)

            def do_POST(self) -> None:
                status = sink.take(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.wfile.flush()
                sink.has_answered()

            def log_message(self, *arguments: object) -> None:
                """Tests are quiet."""

        return Handler
