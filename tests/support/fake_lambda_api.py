"""A small stand-in for Lambda's in-sandbox API: real sockets, scripted replies, every request kept.

It does what it is told and enforces nothing: whether the agent behaves is for the test to say.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

REGISTER = "/2020-01-01/extension/register"
NEXT = "/2020-01-01/extension/event/next"
TELEMETRY = "/2022-07-01/telemetry"
LIMIT_S = 30.0


@dataclass(frozen=True)
class Seen:
    """One request as it came, with the monotonic instant at which it was whole."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Script:
    """What the API answers. `register_failures` are statuses given before the first success."""

    register_failures: list[int] = field(default_factory=list)
    next_failures: list[int] = field(default_factory=list)
    subscribe_status: int = 200
    subscribe_body: bytes = b'"OK"'
    account_id: str = "123456789012"
    close_after_each_reply: bool = False


class FakeLambdaApi:
    """`with FakeLambdaApi() as api:` listens on 127.0.0.1. `address` is what AWS_LAMBDA_RUNTIME_API should say."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.identifier = str(uuid.uuid4())
        self.seen: list[Seen] = []
        self.connections = 0
        self._events: list[bytes] = []
        self._changed = threading.Condition()
        self._closed = False
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # What a test says

    def invoke(self, request_id: str, timeout_s: float = 3.0) -> None:
        """Let Next answer with an INVOKE whose deadline is `timeout_s` from now."""
        arn = "arn:aws:lambda:eu-west-1:123456789012:function:billing"
        self._release(
            eventType="INVOKE", deadlineMs=_epoch_ms(timeout_s), requestId=request_id, invokedFunctionArn=arn,
            tracing={"type": "X-Amzn-Trace-Id", "value": "Root=1-65a1b2c3-0123456789abcdef01234567;Sampled=1"},
        )  # fmt: skip

    def shutdown(self, reason: str = "spindown", budget_s: float = 2.0) -> None:
        self._release(eventType="SHUTDOWN", shutdownReason=reason, deadlineMs=_epoch_ms(budget_s))

    def send_event(self, body: bytes) -> None:
        """Let Next answer with `body`, whatever that is."""
        with self._changed:
            self._events.append(body)
            self._changed.notify_all()

    def _release(self, **event: object) -> None:
        self.send_event(json.dumps(event, separators=(",", ":")).encode())

    def post_telemetry(self, body: bytes | list[Any]) -> int:
        """Deliver to the agent's listener, as the platform does. Returns the status of its answer."""
        data = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        uri = self.subscription()["destination"]["URI"].replace("sandbox.localdomain", "127.0.0.1")
        request = urllib.request.Request(uri, data, {"Content-Type": "application/json"}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code

    # What a test asks

    def lines(self) -> list[str]:
        with self._changed:
            return [request.line for request in self.seen]

    def count(self, path: str) -> int:
        with self._changed:
            return sum(request.path == path for request in self.seen)

    def subscription(self) -> Any:
        return self.first(TELEMETRY).json()

    def first(self, path: str) -> Seen:
        self.wait_until(lambda: any(request.path == path for request in self.seen), f"a request for {path}")
        return next(request for request in self.seen if request.path == path)

    def wait_for_next(self, times: int = 1, limit_s: float = LIMIT_S) -> Seen:
        """The request that was the `times`-th call to Next."""
        self.wait_until(lambda: sum(r.path == NEXT for r in self.seen) >= times, f"{times} calls to Next", limit_s)
        return [request for request in self.seen if request.path == NEXT][times - 1]

    def wait_until(
        self, holds: Callable[[], bool], what: str, limit_s: float = LIMIT_S, poll_s: float | None = None
    ) -> None:
        """`poll_s` is for what happens elsewhere, of which nothing here tells."""
        with self._changed:
            end_s = time.monotonic() + limit_s
            while not holds():
                if time.monotonic() > end_s:
                    raise AssertionError(f"waited {limit_s} s for {what}; seen: {[r.line for r in self.seen]}")
                self._changed.wait(poll_s or end_s - time.monotonic())

    # What the handler does

    def note(self, seen: Seen) -> None:
        with self._changed:
            self.seen.append(seen)
            self._changed.notify_all()

    def next_event(self) -> bytes | None:
        """The next event, once there is one; None when the API is taken down meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._closed)
            return self._events.pop(0) if self._events else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: FakeLambdaApi

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle of a request is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Lambda's own server writes a reply at once; in pieces, the kernel would hold the second back for 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.api.connections += 1

    def do_POST(self) -> None:
        api = self._note()
        if api.script.register_failures:
            self._reply(api.script.register_failures.pop(0), b'{"errorType":"Extension.Oops"}')
            return
        body = {"functionName": "billing", "functionVersion": "$LATEST", "handler": "app.run"}
        body["accountId"] = api.script.account_id
        self._reply(200, json.dumps(body).encode(), {"Lambda-Extension-Identifier": api.identifier})

    def do_PUT(self) -> None:
        api = self._note()
        self._reply(api.script.subscribe_status, api.script.subscribe_body)

    def do_GET(self) -> None:
        api = self._note()
        if api.script.next_failures:
            self._reply(api.script.next_failures.pop(0), b'{"errorType":"Extension.InvalidExtensionState"}')
            return
        event = api.next_event()
        if event is None:
            self.close_connection = True
            return
        self._reply(200, event, {"Lambda-Extension-Event-Identifier": str(uuid.uuid4())})

    def _note(self) -> FakeLambdaApi:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.api.note(Seen(self.command, self.path, dict(self.headers), body, time.monotonic()))
        return self.server.api

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.server.api.script.close_after_each_reply:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Quiet: tests read `seen`."""


def _epoch_ms(from_now_s: float) -> int:
    return int((time.time() + from_now_s) * 1000)
