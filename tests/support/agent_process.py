"""The real agent: the launcher of the built layer, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tailrace.packaging.interpreters import Interpreter, ask
from tailrace.packaging.layer import build_layer

LIMIT_S = 30.0
# What the agent runs with: this interpreter, unless TAILRACE_TEST_PYTHON names another one.
PYTHON = Path(os.environ.get("TAILRACE_TEST_PYTHON", sys.executable))


def running_interpreter() -> Interpreter:
    found = ask(PYTHON)
    assert found is not None, f"{PYTHON} does not run"
    return found


RUNNING = running_interpreter()


def unpack_layer(folder: Path, interpreter: Interpreter = RUNNING) -> Path:
    """Build the layer's zip and unpack it as Lambda does. Returns the folder that stands for /opt."""
    build_layer(folder / "layer.zip", [interpreter])
    opt = folder / "opt"
    with zipfile.ZipFile(folder / "layer.zip") as archive:
        for entry in archive.infolist():
            path = Path(archive.extract(entry, opt))
            path.chmod(entry.external_attr >> 16 & 0o777)
    return opt


def lines_in(folder: Path) -> list[str]:
    """Every line that was delivered to `folder`."""
    return [text for file in folder.rglob("*.ndjson") for text in file.read_text().splitlines()]


class AgentProcess:
    """`with AgentProcess(opt, api.address, {...}) as agent:`; `output` is what it wrote so far."""

    def __init__(
        self, opt: Path, address: str, settings: Mapping[str, str] | None = None, launcher: Path | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [launcher or opt / "extensions" / "tailrace"],
            env={
                "AWS_LAMBDA_RUNTIME_API": address,
                "TAILRACE_LISTEN_HOST": "127.0.0.1",
                # a folder for each: whoever got the port of a killed one would take over what that one left
                "TAILRACE_SPOOL_DIR": f"{tempfile.mkdtemp(prefix='agent-', dir=opt.parent)}/spool",
                "AWS_REGION": "eu-west-1",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                "PATH": f"{PYTHON.parent}:/usr/bin:/bin",
                **(settings or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self.pid = self._process.pid
        self.output = b""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def running(self) -> bool:
        return self._process.poll() is None

    def exit_code(self) -> int:
        """Its exit code, once it has left."""
        code = self._process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        return code

    def said(self) -> list[dict[str, Any]]:
        """Every whole line of its output, decoded: whatever the agent writes is JSON. All of it once it has left;
        before that, wait for the line first."""
        return [json.loads(line) for line in self.output.decode().splitlines(keepends=True) if line.endswith("\n")]

    def messages(self) -> list[str]:
        """The messages of the lines that are not the ledger's."""
        return [line["message"] for line in self.said() if line["type"] == "tailrace.log"]

    def wait_for_line(self, containing: str) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: containing.encode() in self.output, LIMIT_S):
                raise AssertionError(f"the agent did not say {containing!r}: {self.output.decode()}")

    def ledger(self) -> dict[str, Any]:
        """The rows of the ledger, which must be the last line."""
        last = self.said()[-1]
        assert last.pop("type") == "tailrace.ledger"
        return last

    def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := self._process.stdout.read1(65536):  # type: ignore[attr-defined] # Popen's reader is buffered
            with self._changed:
                self.output += chunk
                self._changed.notify_all()
