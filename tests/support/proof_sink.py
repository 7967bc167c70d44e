"""A back end that does everything that back ends do, and keeps what it has taken as one that knows keys would."""

from __future__ import annotations

import json
import random
import socket
import ssl
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_LIMIT_S = 3.0
_CHANGES = ("fine", "fine", "slow", "throttling", "failing", "cutting", "forgetful", "half-read", "half-said")
_STATUSES = {"throttling": 429, "failing": 500, "unavailable": 503, "forbidden": 403, "refusing": 410}
_RESET = struct.pack("ii", 1, 0)


class ProofSink:
    """Takes POST and PUT. What has one key is one object: that of the header ``Idempotency-Key``, or the path.

    `objects` are the bodies by key; `conflicts` the keys under which a POST brought something else than before.
    `weather` is what happens to the requests that come now (`proof_plan.WEATHERS`); ``down`` refuses connections.
    `retry_after` is what it asks for while it is ``unavailable``. `n_repeated` counts records that came again after
    they had been taken, once the next request over the same connection says that the agent knows.
    """

    def __init__(
        self, seed: int, context: ssl.SSLContext | None = None, stranger: ssl.SSLContext | None = None
    ) -> None:
        self.objects: dict[str, bytes] = {}
        self.conflicts: list[str] = []
        self.n_requests = 0
        self.came_s: list[float] = []  # when each of them did
        self.n_repeated = 0
        self.weather = "fine"
        self.retry_after = "1"
        self._dice = random.Random(seed)
        self._context = context
        self._stranger = stranger
        self._changed = threading.Condition()
        self._trap = ""  # "set", then "full", then "cut" or empty again
        self._n_pass = 0
        self._holder: socket.socket | None = None
        self.port = 0
        self._open()

    def __enter__(self) -> ProofSink:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.turn("gone")

    def turn(self, weather: str) -> None:
        """Let the weather be like that from now on."""
        with self._changed:
            before, self.weather = self.weather, weather
            self._changed.notify_all()
        if (weather in ("down", "gone")) and before != "down":
            self._close()
            if weather == "down":
                # Nobody else may get the port meanwhile: bound, and refusing whoever connects.
                self._holder = socket.socket()
                self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._holder.bind(("127.0.0.1", self.port))
        elif before == "down" and weather != "down":
            self._release()
            if weather != "gone":
                self._open()

    def lines(self) -> list[tuple[str, dict[str, Any]]]:
        """Every line that it has, with the key of its object."""
        objects = dict(self.objects)  # a request of a process that was killed may still be read
        return [(key, json.loads(line)) for key, body in objects.items() for line in body.splitlines()]

    def keep(self, key: str, body: bytes, is_put: bool) -> bool:
        """Whether it was here before."""
        before = self.objects.get(key)
        if before is not None and not is_put and before != body:
            self.conflicts.append(key)
        self.objects[key] = body
        return before is not None

    def catch(self, after: int = 0) -> None:
        """Let a request stop in its middle until `let_go`: the next one, or that after so many others."""
        with self._changed:
            self._trap = "set"
            self._n_pass = after

    @property
    def has_caught(self) -> bool:
        return self._trap == "full"

    def let_go(self, cut: bool = False) -> None:
        """Nothing is caught any more; what was goes on, or is cut."""
        with self._changed:
            self._trap = "cut" if cut and self._trap == "full" else ""
            self._changed.notify_all()

    def is_cut(self) -> bool:
        """Whether this request was caught, and is cut now."""
        with self._changed:
            self._n_pass -= 1
            if self._trap != "set" or self._n_pass >= 0:
                return False
            self._trap = "full"
            self._changed.wait_for(lambda: self._trap != "full", HANG_LIMIT_S)
            was_cut, self._trap = self._trap == "cut", ""
            return was_cut

    def wait_for_change(self) -> None:
        """As long as the weather lasts, but not for ever."""
        with self._changed:
            now = self.weather
            self._changed.wait_for(lambda: self.weather != now, HANG_LIMIT_S)

    def lag(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.weather != "slow", self._dice.choice((0.02, 0.1, 0.6)))

    def mood(self) -> str:
        self.n_requests += 1
        self.came_s.append(time.monotonic())
        return self._dice.choice(_CHANGES) if self.weather == "changing" else self.weather

    def tls(self) -> ssl.SSLContext | None:
        return self._stranger if self.weather == "stranger" else self._context

    def _open(self) -> None:
        self._server = _Server(self, self.port)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def _close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.close_connections()

    def _release(self) -> None:
        if self._holder is not None:
            self._holder.close()
            self._holder = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, sink: ProofSink, port: int) -> None:
        self.sink = sink
        self._open: set[Any] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what this is for."""

    def close_connections(self) -> None:
        for request in list(self._open):
            self.shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 20
    server: _Server
    _n_repeated = 0  # in the request before this one

    def setup(self) -> None:
        context = self.server.sink.tls()
        if context is not None:
            self.request.settimeout(5)
            self.request = context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            self.request.close()

    def do_POST(self) -> None:
        self._serve(self.headers.get("Idempotency-Key", ""), is_put=False)

    def do_PUT(self) -> None:
        self._serve(self.path, is_put=True)

    def _serve(self, key: str, is_put: bool) -> None:
        sink = self.server.sink
        mood = sink.mood()
        sink.n_repeated += self._n_repeated
        self._n_repeated = 0
        body = self._read(mood)
        if body is None:
            return self._reset()
        if mood == "slow":
            sink.lag()
        status = _STATUSES.get(mood, 200)
        if status == 200 and key not in sink.objects:
            status = _about_content(mood, body)
        if status == 200 and sink.keep(key, body, is_put) and not is_put:
            self._n_repeated = len(body.splitlines())
        if mood == "half-said":
            self.wfile.write(b"HTTP/1.1 2")
        if mood in ("forgetful", "half-said"):
            return self._reset()
        return self._answer(status, mood)

    def _read(self, mood: str) -> bytes | None:
        """The body, or None where nothing comes of it."""
        length = int(self.headers["Content-Length"])
        if mood in ("cutting", "down", "gone"):
            return None
        body = self.rfile.read(length // 2)
        if self.server.sink.is_cut() or mood == "half-read":
            return None
        body += self.rfile.read(length - len(body))
        if mood == "hanging":
            self.server.sink.wait_for_change()
            return None
        return body if len(body) == length else None

    def _answer(self, status: int, mood: str) -> None:
        self.send_response(status)
        if mood in ("throttling", "unavailable"):
            self.send_header("Retry-After", self.server.sink.retry_after if mood == "unavailable" else "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()

    def log_message(self, *arguments: object) -> None:
        """Tests are quiet."""


def _about_content(mood: str, body: bytes) -> int:
    if mood == "small" and len(body) > 3000:
        return 413
    return 400 if mood == "picky" and b"poison" in body else 200
