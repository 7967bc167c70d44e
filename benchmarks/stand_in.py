"""The least of Lambda's in-sandbox API that a start can be measured with. It answers every request in one write."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from types import TracebackType
from typing import Any, Self

REGISTERED = {"functionName": "billing", "functionVersion": "$LATEST", "handler": "app.run"}
REQUEST_ID = "5b1d1c1e-0f0a-4a3a-9c59-111111111111"


class Delivery:
    """Telemetry to deliver."""

    @staticmethod
    def of_one_invocation(request_id: str = REQUEST_ID) -> list[dict[str, Any]]:
        at = "2026-01-02T03:04:05.678Z"
        lines = [{"time": at, "type": "function", "record": f"line {number} of a function"} for number in range(20)]
        start = {"time": at, "type": "platform.start", "record": {"requestId": request_id, "version": "$LATEST"}}
        done = {"time": at, "type": "platform.runtimeDone", "record": {"requestId": request_id, "status": "success"}}
        return [start, *lines, done]


class StandIn:
    """`with StandIn() as api:` serves at `address` and notes when the first calls, and the latest Next, came (monotonic
    seconds)."""

    def __init__(self) -> None:
        self.registered_s = 0.0
        self.next_s = 0.0
        self.latest_next_s = 0.0
        self.deliver_to = ""
        self._events: queue.SimpleQueue[dict[str, object] | None] = queue.SimpleQueue()
        self._calls = threading.Semaphore(0)
        self._seen = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._events.put(None)
        self._listener.close()

    def wait_for_next(self, times: int, limit_s: float) -> None:
        while self._seen < times:
            if not self._calls.acquire(timeout=limit_s):
                raise TimeoutError("the agent did not call Next")
            self._seen += 1

    def invoke(self, request_id: str = REQUEST_ID) -> None:
        deadline_ms = int((time.time() + 10) * 1000)
        self._events.put({"eventType": "INVOKE", "deadlineMs": deadline_ms, "requestId": request_id})

    def shut_down(self) -> None:
        deadline_ms = int((time.time() + 2) * 1000)
        self._events.put({"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": deadline_ms})

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as stream:
            while (line := stream.readline()) and (reply := self._answer(line, stream)) is not None:
                connection.sendall(reply)

    def _answer(self, line: bytes, stream: Any) -> bytes | None:
        came_s = time.monotonic()
        length = 0
        while (header := stream.readline()) not in (b"\r\n", b""):
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = stream.read(length)
        if b"/extension/register" in line:
            self.registered_s = came_s
            return response(json.dumps(REGISTERED).encode())
        if b"/telemetry" in line:
            uri = json.loads(body)["destination"]["URI"]
            self.deliver_to = uri.replace("sandbox.localdomain", "127.0.0.1")
            return response(b'"OK"')
        self.next_s = self.next_s or came_s
        self.latest_next_s = came_s
        self._calls.release()
        event = self._events.get()
        return None if event is None else response(json.dumps(event).encode())


def response(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: 0-0-0-0-0\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
