#!/usr/bin/env python3
"""An extension for the benchmarks: subscribed to all telemetry, delivers nothing, waits for the end.

Its events are INVOKE and SHUTDOWN, or what stands in BENCHMARK_EVENTS. Where BENCHMARK_HOLD is set it asks for the
shortest buffering that there is, and for the next event only when it has been told that the invocation is done: less
than that costs nobody who delivers an invocation's last lines before the freeze.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from io import BufferedRWPair


def request(
    stream: BufferedRWPair, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[str, bytes]:
    """The head of the answer and its body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: sandbox", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    stream.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    stream.flush()
    return read_message(stream)


def read_message(stream: BufferedRWPair) -> tuple[str, bytes]:
    head, length = "", 0
    while line := stream.readline().decode("latin-1"):
        if line == "\r\n":
            return head, stream.read(length)
        head += line
        if line.lower().startswith("content-length:"):
            length = int(line.split(":")[1])
    return "", b""


def receive_telemetry(listener: socket.socket, done: threading.Semaphore) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rwb") as stream:
            while (message := read_message(stream))[0]:
                stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                stream.flush()
                if b'"platform.runtimeDone"' in message[1]:
                    done.release()


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Semaphore(0)
    threading.Thread(target=receive_telemetry, args=(listener, done), daemon=True).start()
    is_holding = "BENCHMARK_HOLD" in os.environ
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")
    events = os.environ.get("BENCHMARK_EVENTS", "INVOKE,SHUTDOWN").split(",")
    with socket.create_connection((host, int(port))) as api:
        api.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with api.makefile("rwb") as stream:
            name = {"Lambda-Extension-Name": os.path.basename(__file__)}  # noqa: PTH119 - nothing but what is needed
            head, _ = request(
                stream, "POST", "/2020-01-01/extension/register", name, json.dumps({"events": events}).encode()
            )
            identifier = next(
                line for line in head.splitlines() if line.lower().startswith("lambda-extension-identifier:")
            )
            who = {"Lambda-Extension-Identifier": identifier.split(":", 1)[1].strip()}
            buffering = {"maxItems": 1000, "maxBytes": 262_144, "timeoutMs": 25}
            subscription = {
                "schemaVersion": "2025-01-29",
                "types": ["platform", "function", "extension"],
                "destination": {
                    "protocol": "HTTP",
                    "URI": f"http://sandbox.localdomain:{listener.getsockname()[1]}",
                },
                **({"buffering": buffering} if is_holding else {}),
            }
            request(stream, "PUT", "/2022-07-01/telemetry", who, json.dumps(subscription).encode())
            while b"SHUTDOWN" not in request(stream, "GET", "/2020-01-01/extension/event/next", who)[1]:
                if is_holding:
                    done.acquire()


if __name__ == "__main__":
    main()
