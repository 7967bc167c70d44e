"""An extension that subscribes as a test wants: by either API, over HTTP or TCP, reading well, slowly or not at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from support.emulator_runs import executable

SCRIPT = """#!@PYTHON@ -IS
import http.client, http.server, json, os, socket, struct, sys, threading

out, path, wish, manner = @OUT@, @PATH@, @WISH@, @MANNER@
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
api = http.client.HTTPConnection(host, int(port))

def note(name, data):
    with open(os.path.join(out, name), "ab") as file:
        file.write(data)

def call(method, target, headers={}, body=None):
    api.request(method, target, body, headers)
    reply = api.getresponse()
    return reply, reply.read()

class Listener(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def take(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        note("requests", f"{self.requestline}\\n".encode())
        note("batches", body + b"\\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_POST = do_PUT = take
    def log_message(self, *arguments):
        pass

def read(connection):
    if manner == "close once" and not os.path.exists(os.path.join(out, "closed")):
        note("stream", connection.recv(1 << 20))
        note("closed", b"x")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return
    while data := connection.recv(1 << 20):
        note("stream", data)

def accept(server):
    kept = []
    while True:
        connection, _ = server.accept()
        note("connections", b"x")
        kept.append(connection)
        if manner != "never read":
            threading.Thread(target=read, args=(connection,), daemon=True).start()

if manner == "no listener":
    probe = socket.create_server(("127.0.0.1", 0))
    listening = probe.getsockname()[1]
    probe.close()
elif wish["destination"]["protocol"] == "TCP":
    server = socket.create_server(("127.0.0.1", 0))
    listening = server.getsockname()[1]
    threading.Thread(target=accept, args=(server,), daemon=True).start()
else:
    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    listening = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()

name = {"Lambda-Extension-Name": os.path.basename(sys.argv[0])}
reply, _ = call("POST", "/2020-01-01/extension/register", name, b'{"events":["INVOKE","SHUTDOWN"]}')
me = {"Lambda-Extension-Identifier": reply.headers["Lambda-Extension-Identifier"]}
reply, body = call("PUT", path, me, json.dumps(wish).replace("4243", str(listening)).encode())
note("answer", b"%d %s" % (reply.status, body))
while True:
    _, body = call("GET", "/2020-01-01/extension/event/next", me)
    note("events", body + b"\\n")
    if b"SHUTDOWN" in body:
        note("over", b"x")
        threading.Event().wait()
"""
"""The last wait ends by the platform's signal: what is on its way may still be read until then."""


class Subscriber:
    """`destination` is that of the subscription; its port, 4243, stands for the one that is listened on.

    `manner`: ``well``, ``never read``, ``close once`` (resets the first TCP connection) or ``no listener``.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "subscriber",
        *,
        api: str = "/2022-07-01/telemetry",
        types: tuple[str, ...] = ("platform", "function", "extension"),
        destination: dict[str, Any] | None = None,
        manner: str = "well",
        **members: Any,
    ) -> None:
        self.out = folder / f"{name}-out"
        self.out.mkdir(parents=True)
        wish = {
            "types": list(types),
            "buffering": {"timeoutMs": 25},
            "destination": destination or {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243/in"},
            **members,
        }
        if "telemetry" in api:
            wish.setdefault("schemaVersion", "2022-12-13")
        script = SCRIPT.replace("@PYTHON@", sys.executable)
        for word, value in (("OUT", str(self.out)), ("PATH", api), ("WISH", wish), ("MANNER", manner)):
            script = script.replace(f"@{word}@", repr(value))
        self.path = executable(folder / name, script)

    def note(self, name: str) -> str:
        """What it wrote down: ``answer``, ``requests``, ``connections``, ``stream``, ``events``."""
        path = self.out / name
        return path.read_text() if path.exists() else ""

    @property
    def over_http(self) -> list[dict[str, Any]]:
        return [event for batch in self.note("batches").splitlines() for event in json.loads(batch)]

    @property
    def over_tcp(self) -> list[dict[str, Any]]:
        """The whole lines of the stream."""
        return [json.loads(line) for line in self.note("stream").split("\n")[:-1]]
