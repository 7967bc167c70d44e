"""The agent's own lines: JSON, known by their type, never a flood."""

from __future__ import annotations

import json
from typing import Any

from tailrace.agent.diagnostics import REPEAT_AFTER_S, Diagnostics
from tailrace.clock import ManualClock


class Output:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.data = b""
        self.say = Diagnostics(self.write, self.clock)

    def write(self, data: bytes) -> None:
        self.data += data

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.data.splitlines()]


def test_a_line_is_one_json_object_whose_first_member_is_its_type() -> None:
    output = Output()
    output.say("warn", 'a "quoted"\nmessage', destination="file:///x", records=3, share=0.5, none=None)
    assert output.data.startswith(b'{"type":"tailrace.log"')
    assert output.data.count(b"\n") == 1
    assert output.lines() == [
        {
            "type": "tailrace.log",
            "level": "warn",
            "message": 'a "quoted"\nmessage',
            "destination": "file:///x",
            "records": 3,
            "share": 0.5,
            "none": None,
        }
    ]


def test_the_same_again_is_left_out_for_a_minute_and_then_counted() -> None:
    output = Output()
    for _ in range(5):
        output.say("warn", "down", destination="a")
    assert len(output.lines()) == 1
    output.clock.advance(REPEAT_AFTER_S)
    output.say("warn", "down", destination="a")
    assert output.lines()[1]["alsoSaidSinceTheLastLine"] == 4


def test_another_destination_or_message_is_not_the_same() -> None:
    output = Output()
    output.say("warn", "down", destination="a")
    output.say("warn", "down", destination="b")
    output.say("warn", "up", destination="a")
    assert len(output.lines()) == 3


def test_ever_new_messages_are_all_said() -> None:
    output = Output()
    for number in range(1000):
        output.say("info", f"message {number}")
    assert len(output.lines()) == 1000


def test_long_and_odd_values_stay_within_bounds() -> None:
    output = Output()
    output.say("error", "odd", text="x" * 10_000, unicode="é\ud800", thing=object())
    line = output.lines()[0]
    assert len(line["text"]) == 500
    assert line["thing"].startswith("<object")
