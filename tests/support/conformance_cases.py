"""The conformance cases as data, and what an answer must be to pass."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CASES_DIR = Path(__file__).parents[1] / "conformance" / "cases"
STATES: dict[str, Any] = json.loads((CASES_DIR / "states.json").read_text())
CASES: list[dict[str, Any]] = [
    case
    for path in sorted(CASES_DIR.glob("*.json"))
    if path.name != "states.json"
    for case in json.loads(path.read_text())
]


class Words:
    """What stands for identifiers that are only known when a case runs, for example ``{request}``."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def know_request(self, request_id: str) -> None:
        self._values["{request}"] = request_id

    def know_port(self, port: int) -> None:
        self._values["{port}"] = str(port)

    def know_extension(self, name: str, identifier: str) -> None:
        self._values["{" + name + "}"] = identifier
        self._values["{" + name.upper() + "}"] = identifier.upper()

    def know_token(self, environ: Mapping[str, str]) -> None:
        """Of the metadata endpoint, as every process has it in its environment."""
        self._values["{token}"] = environ["AWS_LAMBDA_METADATA_TOKEN"]

    def fill(self, text: str) -> str:
        for word, value in self._values.items():
            text = text.replace(word, value)
        return text

    def headers(self, request: Mapping[str, Any]) -> dict[str, str]:
        return {name: self.fill(value) for name, value in request.get("headers", {}).items()}


def check_answer(
    expected: Mapping[str, Any], fill: Callable[[str], str], status: int, headers: Mapping[str, str], body: bytes
) -> None:
    """`headers` by their names in lower case."""
    assert status == expected["status"]
    for name, value in expected.get("headers", {}).items():
        if value == "{uuid}":
            assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers[name.lower()])
        else:
            assert headers[name.lower()] == value
    if "errorType" in expected:
        document = json.loads(body)
        assert document["errorType"] == expected["errorType"]
        assert document["errorMessage"]
    else:
        assert body.decode() == fill(expected["body"])
