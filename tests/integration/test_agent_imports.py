"""The import budget: what the real agent, started by the launcher of the built layer, has loaded, and when.

An import that is new here is a decision: it is paid on the critical path of somebody's cold start.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.agent_process import LIMIT_S, PYTHON, AgentProcess, unpack_layer
from support.fake_lambda_api import FakeLambdaApi
from support.moto_s3 import MotoS3, start_moto_s3
from support.telemetry import invocation

OBSERVER = Path(__file__).parents[1] / "support" / "observer.py"
INTERPRETERS_OWN = {"__main__"}

# With built-in modules, the client and itself: no more than that stands between the launcher and Next.
AT_NEXT = {
    "_socket",
    "tailrace",
    "tailrace.agent",
    "tailrace.agent.lambda_api",
    "tailrace.agent.start",
}
# From the standard library, once the pipeline stands: the JSON scanner in C, and the switch of the garbage collector.
WHEN_IT_STANDS = {"_json", "gc"}
# After the first delivery: nothing more for a folder; for a signed request the hashes, wherever this Python has them.
AFTER_A_FOLDER = WHEN_IT_STANDS
AFTER_S3 = AFTER_A_FOLDER | {"_hashlib", "_hmac", "_sha2", "_sha256", "binascii"}
# Our own modules that only other destinations need.
NOT_FOR_A_FOLDER = {
    "tailrace.aws",
    "tailrace.destinations.http",
    "tailrace.destinations.s3",
    "tailrace.pipeline.wire.http_connection",
    "tailrace.pipeline.wire.http_transport",
    "tailrace.pipeline.wire.tls",
}
NOT_FOR_S3 = {"tailrace.destinations.file", "tailrace.destinations.http", "tailrace.pipeline.wire.tls"}
# Our own modules that wait for a setting which is rarely made, or for something that rarely happens.
NOT_BEFORE_THEY_ARE_NEEDED = {
    "tailrace.agent.ledger_export",
    "tailrace.config.file",
    "tailrace.config.toml",
    "tailrace.destinations._truncate",
    "tailrace.pipeline.spooling.carry_over",
    "tailrace.pipeline.dead_letters.writer",
    "tailrace.pipeline.last_flush",
    "tailrace.pipeline.routing",
    "tailrace.pipeline.sending.refusals",
    "tailrace.pipeline.sending.remains",
    "tailrace.pipeline.spooling.spool",
    "tailrace.processors.filters",
    "tailrace.processors.mask",
    "tailrace.processors.stitch",
}
# Bytecode is memory, three bytes for each of its own: what is loaded when the pipeline stands for a folder.
BYTECODE_MAX_BYTES = 350_000


class Observed:
    """The agent, with the list of its modules at any moment."""

    def __init__(self, folder: Path, api: FakeLambdaApi, settings: dict[str, str]) -> None:
        opt = self._opt = unpack_layer(folder)
        self._notes = folder / "notes"
        self._notes.mkdir()
        observed = self._script(folder / "observed", f'exec {PYTHON} -I -S -E -B {OBSERVER} {self._notes} "$@"')
        # The launcher takes a script for the shim of a version manager, asks it for its interpreter and runs that.
        self._script(folder / "bin" / "python3", f"echo {observed}")
        self.agent = AgentProcess(opt, api.address, {**settings, "PATH": f"{folder}/bin:/usr/bin:/bin"})

    def at(self, name: str) -> set[str]:
        """Modules beyond the bare interpreter's at the moment that the observer calls `name`."""
        note = self._notes / name
        self._wait(note.exists, f"the note {name}")
        return set(note.read_text().split()) - set((self._notes / "bare").read_text().split()) - INTERPRETERS_OWN

    def now(self) -> set[str]:
        (self._notes / "now").unlink(missing_ok=True)
        os.kill(self.agent.pid, signal.SIGUSR1)
        return self.at("now")

    def bytecode_bytes(self, modules: set[str]) -> int:
        """The bytecode of our own among these modules."""
        code = self._opt / "tailrace"
        total = 0
        for file in code.rglob("*.pyc"):
            module = (file.parent.parent / file.name.partition(".")[0]).relative_to(code)
            is_loaded = ".".join(module.parts).removesuffix(".__init__") in modules
            total += file.stat().st_size if is_loaded else 0
        assert total, "no bytecode was found"
        return total

    def _script(self, path: Path, text: str) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        limit_s = time.monotonic() + LIMIT_S
        while not holds():
            if time.monotonic() > limit_s:
                raise AssertionError(f"waited {LIMIT_S} s for {what}: {self.agent.output.decode()}")
            os.sched_yield()


@pytest.fixture
def api() -> Iterator[FakeLambdaApi]:
    with FakeLambdaApi() as api:
        yield api


@pytest.fixture(scope="module")
def s3() -> Iterator[MotoS3]:
    with start_moto_s3() as s3:
        yield s3


def of_the_standard_library(modules: set[str]) -> set[str]:
    return {name for name in modules if not name.startswith("tailrace")} - {"_socket"}


def test_at_next_nothing_is_loaded_but_sockets_and_the_fast_start(api: FakeLambdaApi, tmp_path: Path) -> None:
    observed = Observed(tmp_path, api, {})
    with observed.agent:
        assert observed.at("next") == AT_NEXT


def test_a_configuration_file_is_read_after_next_and_costs_nothing_of_the_standard_library(
    api: FakeLambdaApi, tmp_path: Path
) -> None:
    file = tmp_path / "tailrace.toml"
    file.write_text(f'destinations = "file://{tmp_path}/out"')
    observed = Observed(tmp_path, api, {"TAILRACE_CONFIG_FILE": str(file)})
    with observed.agent:
        assert observed.at("next") == AT_NEXT
        api.wait_for_next()
        api.post_telemetry([])
        standing = observed.now()
        assert of_the_standard_library(standing) <= WHEN_IT_STANDS
        assert {"tailrace.config.toml", "tailrace.config.file"} <= standing
        assert not NOT_FOR_A_FOLDER & standing
        assert not {"tailrace.processors.mask", "tailrace.processors.filters"} & standing


def test_when_the_pipeline_stands_and_after_a_delivery_to_a_folder(api: FakeLambdaApi, tmp_path: Path) -> None:
    observed = Observed(tmp_path, api, {"TAILRACE_DESTINATIONS": f"file://{tmp_path}/out"})
    with observed.agent:
        api.wait_for_next()
        api.post_telemetry([])
        standing = observed.now()
        assert of_the_standard_library(standing) <= WHEN_IT_STANDS
        assert not NOT_FOR_A_FOLDER & standing
        assert not NOT_BEFORE_THEY_ARE_NEEDED & standing
        assert observed.bytecode_bytes(standing) < BYTECODE_MAX_BYTES
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1", "hello"))
        api.wait_for_next(2)
        assert list((tmp_path / "out").rglob("*.ndjson"))
        delivered = observed.now()
        assert of_the_standard_library(delivered) <= AFTER_A_FOLDER
        assert not NOT_FOR_A_FOLDER & delivered
        assert not NOT_BEFORE_THEY_ARE_NEEDED & delivered


def test_after_a_delivery_to_s3(api: FakeLambdaApi, s3: MotoS3, tmp_path: Path) -> None:
    settings = {"TAILRACE_DESTINATIONS": f"s3://{s3.bucket}/budget", **s3.environ()}
    observed = Observed(tmp_path, api, settings)
    with observed.agent:
        api.invoke("request-1", timeout_s=60)
        api.post_telemetry(invocation("request-1", "hello"))
        api.wait_for_next(2)
        assert [line["record"] for line in s3.lines("budget") if line["type"] == "function"] == ["hello"]
        delivered = observed.now()
        assert of_the_standard_library(delivered) <= AFTER_S3
        assert not NOT_FOR_S3 & delivered
