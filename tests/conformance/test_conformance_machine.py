"""Every conformance case against the machine in memory."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.machine_world import World
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import Respond
from tailrace.protocol.extensions_api import IDENTIFIER

CASES_DIR = Path(__file__).parent / "cases"
STATES: dict[str, Any] = json.loads((CASES_DIR / "states.json").read_text())
CASES: list[dict[str, Any]] = [
    case
    for path in sorted(CASES_DIR.glob("*.json"))
    if path.name != "states.json"
    for case in json.loads(path.read_text())
]


class Conversation:
    """A world, and the words that stand for what is only known when it runs."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.world = World(*state["extensions"])
        self.words: dict[str, str] = {}
        for step in state["steps"]:
            self.take(step)

    def take(self, step: Any) -> None:
        if step == "init":
            self.world.feed(facts.InitRequested())
        elif step == "invoke":
            self.words["{request}"] = self.world.invoke()
        else:
            answer = self.send(step)
            if "as" in step:
                assert answer is not None
                identifier = dict(answer.headers)[IDENTIFIER]
                self.words["{" + step["as"] + "}"] = identifier
                self.words["{" + step["as"].upper() + "}"] = identifier.upper()

    def send(self, request: dict[str, Any]) -> Respond | None:
        headers = {name: self.fill(value) for name, value in request.get("headers", {}).items()}
        body = request.get("body", "").encode()
        exchange = self.world.http(request["method"], self.fill(request["path"]), headers, body)
        return self.world.responses.get(exchange)

    def fill(self, text: str) -> str:
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text


def test_there_are_cases() -> None:
    assert len(CASES) > 100


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_the_machine_answers_as_recorded(case: dict[str, Any]) -> None:
    conversation = Conversation(STATES[case["state"]])
    answer = conversation.send(case["request"])
    expected = case["response"]
    assert answer is not None
    assert answer.status == expected["status"]
    headers = dict(answer.headers)
    for name, value in expected.get("headers", {}).items():
        if value == "{uuid}":
            assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers[name])
        else:
            assert headers[name] == value
    if "errorType" in expected:
        document = json.loads(answer.body)
        assert document["errorType"] == expected["errorType"]
        assert document["errorMessage"]
    else:
        assert answer.body.decode() == conversation.fill(expected["body"])
