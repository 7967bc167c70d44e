"""An HTTP back end on loopback that keeps what it is sent, and can be killed and brought back at the same address."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HttpSink:
    """Answers every POST with 200 and keeps its lines.

    `kill` closes the port and every connection; `revive` opens the port again.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self._context = context
        self._port = 0
        self.revive()

    def __enter__(self) -> HttpSink:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    @property
    def port(self) -> int:
        return self._port

    def revive(self) -> None:
        """Listen, at the address of before."""
        self._server = _Server(("127.0.0.1", self._port), self._handler())
        if self._context is not None:
            self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def kill(self) -> None:
        """Be gone at once, as after kill -9."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.close_connections()

    def lines(self) -> list[dict[str, Any]]:
        """Every NDJSON line received, in order, decoded."""
        return [line for lines in self.batches() for line in lines]

    def batches(self) -> list[list[dict[str, Any]]]:
        """The same, request by request."""
        bodies = [gzip.decompress(b) if h.get("content-encoding") == "gzip" else b for _, h, b in self.requests]
        return [[json.loads(line) for line in body.splitlines()] for body in bodies]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Tests are quiet."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._open: set[Any] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A refused TLS handshake or a killed connection is what a test wants, no noise."""

    def close_connections(self) -> None:
        for request in self._open:
            self.shutdown_request(request)
        self._open.clear()
