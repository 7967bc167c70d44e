"""Extensions and runtimes for tests that nobody of this project wrote in its own way: shell scripts with curl."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from support.emulator_runs import executable

LISTENER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Listener(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[1] + "/batches", "ab") as file:
            file.write(body + b"\\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass

server = HTTPServer(("127.0.0.1", 0), Listener)
with open(sys.argv[1] + "/port", "w") as file:
    file.write(str(server.server_port))
server.serve_forever()
"""

SHELL_EXTENSION = """#!/bin/sh
out=@OUT@
api="http://$AWS_LAMBDA_RUNTIME_API"
@PYTHON@ -I -S $out/listener.py $out &
until [ -s $out/port ]; do sleep 0.01; done
curl -s -D $out/headers -o $out/registered -X POST "$api/2020-01-01/extension/register" \\
    -H "Lambda-Extension-Name: $(basename "$0")" -d '{"events":["INVOKE","SHUTDOWN"]}'
id=$(tr -d '\\r' < $out/headers | sed -n 's/^[Ll]ambda-[Ee]xtension-[Ii]dentifier: //p')
curl -s -o $out/subscribed -X PUT "$api/2022-07-01/telemetry" -H "Lambda-Extension-Identifier: $id" -d "{
    \\"schemaVersion\\": \\"@SCHEMA@\\", \\"types\\": [\\"platform\\", \\"function\\", \\"extension\\"],
    \\"buffering\\": {\\"timeoutMs\\": 25, \\"maxBytes\\": 262144, \\"maxItems\\": 1000},
    \\"destination\\": {\\"protocol\\": \\"HTTP\\", \\"URI\\": \\"http://sandbox.localdomain:$(cat $out/port)/in\\"}}"
echo "shell extension is ready"
while true; do
    event=$(curl -s "$api/2020-01-01/extension/event/next" -H "Lambda-Extension-Identifier: $id")
    echo "$event" >> $out/events
    case "$event" in
        *SHUTDOWN*) @AT_SHUTDOWN@ exit 0;;
        *) @AT_INVOKE@ ;;
    esac
done
"""

SHELL_RUNTIME = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
trap 'echo terminated; exit 0' TERM
while true; do
    all=$(curl -s -D - "$api/invocation/next" | tr -d '\\r')
    id=$(echo "$all" | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
    event=$(echo "$all" | sed '1,/^$/d')
    case "$event" in
        *die*) echo "last words"; exit 42;;
        *fail*) curl -s -X POST "$api/invocation/$id/error" -H "Lambda-Runtime-Function-Error-Type: Function.Sad" \\
            -d '{"errorMessage": "as asked", "errorType": "Sad"}' > /dev/null;;
        *) echo "shell got $event"
            curl -s -X POST "$api/invocation/$id/response" -d "{\\"echo\\": $event}" > /dev/null;;
    esac
done
"""


class ShellExtension:
    """A script that registers, subscribes to everything, and keeps what it is told in files."""

    def __init__(
        self,
        folder: Path,
        name: str = "shell-ext",
        at_invoke: str = ":",
        at_shutdown: str = "",
        schema_version: str = "2022-12-13",
    ) -> None:
        self.out = folder / f"{name}-out"
        self.out.mkdir(parents=True)
        (self.out / "listener.py").write_text(LISTENER)
        script = SHELL_EXTENSION.replace("@OUT@", str(self.out)).replace("@PYTHON@", sys.executable)
        script = script.replace("@AT_INVOKE@", at_invoke).replace("@AT_SHUTDOWN@", at_shutdown)
        script = script.replace("@SCHEMA@", schema_version)
        self.path = executable(folder / name, script)

    @property
    def batches(self) -> list[list[dict[str, Any]]]:
        """The bodies of the POST requests, in order."""
        path = self.out / "batches"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def telemetry(self) -> list[dict[str, Any]]:
        return [event for batch in self.batches for event in batch]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What `event/next` answered."""
        return [json.loads(line) for line in (self.out / "events").read_text().splitlines()]


def shell_runtime(folder: Path) -> Path:
    return executable(folder / "bootstrap", SHELL_RUNTIME)
