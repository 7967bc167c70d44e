"""Every conformance case against the machine in memory."""

from __future__ import annotations

from typing import Any

import pytest

from support.conformance_cases import CASES, STATES, Words, check_answer
from support.machine_world import World
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import Respond, SpawnProcess
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol.extensions_api import IDENTIFIER

LISTENING = 4243
"""The port on which somebody listens: `{port}` in requests."""


class Conversation:
    """A world that was brought into one of the states."""

    def __init__(self, state: dict[str, Any], policy: dict[str, Any]) -> None:
        self.world = World(*state["extensions"], policy=Policy(**policy))
        self.world.listening = {LISTENING}
        self.words = Words()
        self.words.know_port(LISTENING)
        for step in state["steps"]:
            self.take(step)

    def take(self, step: Any) -> None:
        if step == "init":
            self.world.feed(facts.InitRequested())
            self.words.know_token(self.world.of(SpawnProcess)[0].environ)
        elif step == "invoke":
            self.words.know_request(self.world.invoke())
        else:
            answer = self.send(step)
            if "as" in step:
                assert answer is not None
                self.words.know_extension(step["as"], dict(answer.headers)[IDENTIFIER])

    def send(self, request: dict[str, Any]) -> Respond | None:
        body = self.words.fill(request.get("body", "")).encode()
        path = self.words.fill(request["path"]).partition("?")[0]
        exchange = self.world.http(request["method"], path, self.words.headers(request), body)
        return self.world.responses.get(exchange)


def test_there_are_cases() -> None:
    assert len(CASES) > 100


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_the_machine_answers_as_recorded(case: dict[str, Any]) -> None:
    conversation = Conversation(STATES[case["state"]], case.get("policy", {}))
    answer = conversation.send(case["request"])
    assert answer is not None
    headers = {name.lower(): value for name, value in answer.headers}
    check_answer(case["response"], conversation.words.fill, answer.status, headers, answer.body)
    if "invoker" in case:
        assert [found.payload.decode() for found in conversation.world.answers()] == [case["invoker"]["body"]]
