"""The floor under the emulator's invocations: the same exchanges between the same processes, and nothing else.

    python benchmarks/emulator_floor.py PORT [--extension FILE] -- RUNTIME COMMAND...

One event loop, httptools, and constant bytes: an invocation's payload goes to the runtime that waits for it, an event
to the extension, the runtime's answer to the caller. There are no states, checks, deadlines, telemetry, figures of
memory or freezing, and heads are not looked at beyond their first line. Whatever else Python does comes on top.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import uuid
from typing import Any, cast

import httptools

from tailrace.emulator.run_loop import run

_ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'
_EVENT = b'{"eventType":"INVOKE"}'


class Exchanges:
    """Who waits for what. One invocation at a time, and only for as long as everybody plays along."""

    def __init__(self, has_extension: bool) -> None:
        self.has_extension = has_extension
        self.runtime: Connection | None = None
        self.extension: Connection | None = None
        self.caller: Connection | None = None
        self.payload = b""

    def requested(self, connection: Connection, target: bytes, body: bytes) -> None:
        if target.endswith(b"/runtime/invocation/next"):
            self.runtime = connection
        elif target.endswith(b"/response"):
            connection.write(_ACCEPTED)
            if self.caller is not None:
                self.caller.write(_head(b"Content-Type: application/json\r\n", body))
                self.caller = None
        elif target.endswith(b"/extension/event/next"):
            self.extension = connection
        elif target.endswith(b"/invocations"):
            self.caller, self.payload = connection, body
        else:
            connection.write(_head(b"Lambda-Extension-Identifier: floor\r\n", b"{}"))
        if self.caller is not None and self.runtime is not None and (self.extension or not self.has_extension):
            self._hand_out(self.runtime)

    def _hand_out(self, runtime: Connection) -> None:
        self.runtime = None
        request_id = str(uuid.uuid4()).encode()
        context = (
            b"Lambda-Runtime-Aws-Request-Id: %s\r\nLambda-Runtime-Deadline-Ms: 4102444800000\r\n"
            b"Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:function\r\n"
            b"Lambda-Runtime-Trace-Id: Root=1-00000000-000000000000000000000000\r\nContent-Type: application/json\r\n"
        )
        runtime.write(_head(context % request_id, self.payload))
        if self.extension is not None:
            extension, self.extension = self.extension, None
            extension.write(_head(b"Content-Type: application/json\r\n", _EVENT))


def _head(headers: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (headers, len(body), body)


class Connection(asyncio.Protocol):
    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges
        self._parser = httptools.HttpRequestParser(self)
        self._target = self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.write = cast("asyncio.Transport", transport).write
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._target, self._body = url, b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._exchanges.requested(self, self._target, self._body)


async def serve(arguments: argparse.Namespace) -> None:
    exchanges = Exchanges(bool(arguments.extension))
    loop = asyncio.get_running_loop()
    api: Any = await loop.create_server(lambda: Connection(exchanges), "127.0.0.1", 0)
    address = f"127.0.0.1:{api.sockets[0].getsockname()[1]}"
    environment = {**os.environ, "AWS_LAMBDA_RUNTIME_API": address}
    commands = [arguments.runtime, *([[arguments.extension]] if arguments.extension else [])]
    processes = [subprocess.Popen(command, env=environment) for command in commands]
    try:
        await loop.create_server(lambda: Connection(exchanges), "127.0.0.1", arguments.port)
        await asyncio.Event().wait()
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="The same exchanges as an invocation's, and nothing else.")
    parser.add_argument("port", type=int)
    parser.add_argument("--extension", default="")
    parser.add_argument("runtime", nargs="+")
    run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
