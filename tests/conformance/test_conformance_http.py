"""Every conformance case against a whole environment: real processes, and real sockets for every request."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from support.conformance_cases import CASES, STATES, Words, check_answer
from support.emulator_async import run, until
from support.emulator_http import Client
from support.emulator_runs import executable
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.function import ExtensionFile, FunctionConfig
from tailrace.emulator.invocations import PendingInvocation, new_invocation
from tailrace.emulator.machine import effects, facts
from tailrace.emulator.machine.environment import Environment
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.workspace import Workspace

Reply = tuple[int, dict[str, str], bytes]


class WatchedMachine:
    """The real machine. Counts the requests that reached it and knows which of them stay open.

    Its processes only sleep and nobody reads what is delivered, so its shutdown does not wait for them (`QUICK_END`).
    """

    def __init__(self, config: FunctionConfig, address: str, variables: Mapping[str, str]) -> None:
        self._machine = Environment(config, lambda: str(uuid.uuid4()), address, config.policy, variables)
        self.port = int(address.rpartition(":")[2])
        self.requests = 0
        self.last_was_answered = False
        self.environ: Mapping[str, str] = {}

    def handle(self, fact: facts.Fact, now_ns: int) -> list[effects.Effect]:
        found = self._machine.handle(fact, now_ns)
        self.environ = next((each.environ for each in found if isinstance(each, effects.SpawnProcess)), self.environ)
        if isinstance(fact, facts.HttpRequested):
            answered = [effect.exchange for effect in found if isinstance(effect, effects.Respond)]
            self.last_was_answered = fact.exchange in answered
            self.requests += 1
        return found


class Conversation:
    """An environment whose processes only sleep, so that the test speaks for them all."""

    def __init__(self, env: ExecutionEnvironment, machines: list[WatchedMachine], stack: AsyncExitStack) -> None:
        self._env = env
        self._machines = machines
        self._stack = stack
        self.words = Words()
        self._pending: list[PendingInvocation] = []

    async def take(self, step: Any) -> None:
        if step == "init":
            start = asyncio.create_task(self._env.start())
            self._stack.callback(start.cancel)
            await until(lambda: self._machines != [] and self._machines[0].environ != {})
            self.words.know_token(self._machines[0].environ)
        elif step == "invoke":
            invocation = new_invocation(b"{}", self._env.now_ns())
            self._pending.append(self._env.submit(invocation))
            self.words.know_request(invocation.request_id)
        else:
            answer = await self.send(step)
            if "as" in step:
                assert answer is not None
                self.words.know_extension(step["as"], answer[1]["lambda-extension-identifier"])

    async def invoker_got(self) -> bytes:
        return (await self._pending[0].answered).payload

    async def send(self, request: dict[str, Any], is_last: bool = False) -> Reply | None:
        """The answer, or None for a request that stays open: the last one does not."""
        machine = self._machines[0]
        count = machine.requests + 1
        client = await Client.connect(machine.port)
        self._stack.callback(client.writer.close)
        path, body = self.words.fill(request["path"]), self.words.fill(request.get("body", "")).encode()
        await client.request(request["method"], path, self.words.headers(request), body)
        await until(lambda: machine.requests == count)
        return await client.response() if is_last or machine.last_was_answered else None


QUICK_END: dict[str, Any] = {
    "shutdown_budget_ms": 1,
    "shutdown_budget_internal_ms": 1,
    "shutdown_drain_ms": 0,
}


async def listen(stack: AsyncExitStack) -> int:
    """A port on which somebody listens and hangs up."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    stack.push_async_callback(server.wait_closed)
    stack.callback(server.close)
    port: int = server.sockets[0].getsockname()[1]
    return port


def function(folder: Path, extensions: list[str], policy: dict[str, Any]) -> FunctionConfig:
    sleeper = executable(folder / "sleeper", "#!/bin/sh\nexec sleep 1000\n")
    files = tuple(ExtensionFile(name, sleeper) for name in extensions)
    return FunctionConfig(
        "billing", "app.run", folder, (str(sleeper),), extensions=files, policy=Policy(**QUICK_END, **policy)
    )


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_the_environment_answers_as_recorded(case: dict[str, Any], tmp_path: Path) -> None:
    state, expected = STATES[case["state"]], case["response"]

    def make(config: FunctionConfig, address: str, variables: Mapping[str, str]) -> WatchedMachine:
        machines.append(WatchedMachine(config, address, variables))
        return machines[-1]

    async def main() -> None:
        async with AsyncExitStack() as stack:
            workspace = stack.enter_context(Workspace.create(tmp_path))
            port = await listen(stack)
            config = function(tmp_path, state["extensions"], case.get("policy", {}))
            env = ExecutionEnvironment(config, workspace=workspace, machine_factory=make)
            await stack.enter_async_context(env)
            conversation = Conversation(env, machines, stack)
            conversation.words.know_port(port)
            for step in state["steps"]:
                await conversation.take(step)
            reply = await conversation.send(case["request"], is_last=True)
            assert reply is not None
            check_answer(expected, conversation.words.fill, *reply)
            if "invoker" in case:
                assert (await conversation.invoker_got()).decode() == case["invoker"]["body"]

    machines: list[WatchedMachine] = []
    run(main())
