"""The cases that apply, against AWS's own Runtime Interface Emulator: our expectations are what it answers.

It is slow, and needs the binary: `TAILRACE_RIE` names one, else pip fetches the package that it ships in. Cases with
extensions need a mount namespace, because that emulator looks for them in /opt/extensions only.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import emulator_rie
from support.conformance_cases import CASES, STATES, Words, check_answer
from support.conformance_checklist import recordings
from support.emulator_async import run
from support.emulator_http import Client
from support.emulator_runs import executable

pytestmark = pytest.mark.slow

RECORDED = {recording["case"]: recording for recording in recordings()}
NOT_THEIRS = ("telemetry", "logs", "metadata")
"""Groups that the emulator answers with stubs, or with a token that only its processes are given."""

Reply = tuple[int, dict[str, str], bytes]
NAMESPACE = ("unshare", "--mount", "--map-root-user")
ANSWER_LIMIT_S = 5.0


def applies(case: dict[str, Any]) -> bool:
    """Cases that were recorded, in states that can be reached without answering the first invocation."""
    name = case["case"]
    if name not in RECORDED or name.startswith(NOT_THEIRS) or "{uuid}" in str(case["response"]):
        return False
    return case["state"] not in ("idle",) and RECORDED[name]["status"] == case["response"]["status"]


APPLYING = [case for case in CASES if applies(case)]


@cache
def binary() -> Path:
    try:
        return emulator_rie.find(install=True)
    except emulator_rie.NoRieError as error:
        pytest.skip(f"without AWS's emulator: {error}")


@cache
def can_mount() -> bool:
    """Whether this machine lets us put a folder of ours in the place of /opt."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


class Conversation:
    """The emulator, whose processes only sleep: the test speaks for them all."""

    def __init__(self, invoke_port: int, api_port: int, stack: AsyncExitStack) -> None:
        self._invoke_port = invoke_port
        self._api_port = api_port
        self._stack = stack
        self.words = Words()
        self.invoker: Client | None = None

    async def take(self, step: Any) -> None:
        """Its init begins with the first invocation, so that one is under way from then on."""
        if step == "init":
            self.invoker = await connected(self._invoke_port)
            self._stack.callback(self.invoker.writer.close)
            path, kind = "/2015-03-31/functions/function/invocations", {"Content-Type": "application/json"}
            await self.invoker.request("POST", path, kind, b"{}")
            await self.process_started()
        elif step != "invoke":
            answer = await self.send(step, wait=not step["path"].endswith("/next"))
            if "as" in step:
                assert answer is not None
                self.words.know_extension(step["as"], await self.identifier(step, answer))

    async def identifier(self, step: dict[str, Any], answer: Reply) -> str:
        """It answers before it knows its extension files, and takes an extension for an internal one until then."""
        async with asyncio.timeout(ANSWER_LIMIT_S):
            while "lambda-extension-identifier" not in answer[1]:
                again = await self.send(step)
                assert again is not None
                answer = again
        return answer[1]["lambda-extension-identifier"]

    async def process_started(self) -> None:
        """The API answers as soon as the init has begun."""
        await self.ping()

    async def ping(self) -> None:
        client = await connected(self._api_port)
        await client.request("GET", "/2018-06-01/ping", {})
        assert (await client.response())[0] == 200
        await client.close()

    async def send(self, request: dict[str, Any], *, wait: bool = True) -> Reply | None:
        path = self.words.fill(request["path"])
        if path.endswith("/invocation/next"):
            return await self._next(request, path)
        client = await self._sent(request, path)
        if not wait:
            await self.ping()  # so that this one has been taken before the next request comes
            return None
        async with asyncio.timeout(ANSWER_LIMIT_S):
            return await client.response(has_body=request["method"] != "HEAD")

    async def _next(self, request: dict[str, Any], path: str) -> Reply:
        """That emulator drops the connection of a runtime that it has not yet put down as started: ask again."""
        async with asyncio.timeout(ANSWER_LIMIT_S):
            while True:
                client = await self._sent(request, path)
                try:
                    answer = await client.response(has_body=request["method"] != "HEAD")
                except asyncio.IncompleteReadError:
                    continue
                if answer[0] == 200:
                    self.words.know_request(answer[1]["lambda-runtime-aws-request-id"])
                return answer

    async def _sent(self, request: dict[str, Any], path: str) -> Client:
        client = await connected(self._api_port)
        self._stack.callback(client.writer.close)
        body = request.get("body", "").encode()
        await client.request(request["method"], path, self.words.headers(request), body)
        return client


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def connected(port: int) -> Client:
    """A connection to a server that may not listen yet."""
    async with asyncio.timeout(ANSWER_LIMIT_S):
        while True:
            try:
                return await Client.connect(port)
            except OSError:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def emulator(folder: Path, extensions: list[str]) -> AsyncIterator[tuple[int, int]]:
    """The emulator with sleeping processes; its two ports."""
    sleeper = executable(folder / "sleeper", "#!/bin/sh\nexec sleep 1000\n")
    invoke_port, api_port = free_port(), free_port()
    address = ("--runtime-interface-emulator-address", f"127.0.0.1:{invoke_port}")
    command = [str(binary()), "--log-level", "error", *address]
    command += ["--runtime-api-address", f"127.0.0.1:{api_port}", str(sleeper)]
    for name in extensions:
        executable(folder / "opt" / "extensions" / name, sleeper.read_text())
    if extensions:
        script = f'mount --bind "{folder / "opt"}" /opt && exec "$@"'
        command = [*NAMESPACE, "sh", "-c", script, "sh", *command]
    variables = {"PATH": "/usr/bin:/bin", "AWS_LAMBDA_FUNCTION_TIMEOUT": "30", "AWS_LAMBDA_FUNCTION_NAME": "billing"}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=variables,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield invoke_port, api_port
    finally:
        process.terminate()
        await process.wait()


def test_there_are_cases_that_apply() -> None:
    assert len(APPLYING) > 100


@pytest.mark.parametrize("case", APPLYING, ids=[case["case"] for case in APPLYING])
def test_aws_emulator_answers_as_the_case_says(case: dict[str, Any], tmp_path: Path) -> None:
    state = STATES[case["state"]]
    if state["extensions"] and not can_mount():
        pytest.skip("this machine does not let us mount a folder as /opt")
    binary()

    async def main() -> None:
        async with AsyncExitStack() as stack:
            ports = await stack.enter_async_context(emulator(tmp_path, state["extensions"]))
            conversation = Conversation(*ports, stack)
            for step in state["steps"]:
                await conversation.take(step)
            answer = await conversation.send(case["request"])
            assert answer is not None
            check_answer(case["response"], conversation.words.fill, *answer)

    run(main())
