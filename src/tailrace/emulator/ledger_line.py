"""Finding the agent's ledger: the JSON object that it prints last."""

from __future__ import annotations

import json
from collections.abc import Mapping

LEDGER_TYPE = "tailrace.ledger"


class LedgerWatch:
    """Keeps the last ledger line of the extension processes that run now.

    A process that starts anew forgets its predecessor's line: killed before it printed its own, there is none.
    """

    def __init__(self) -> None:
        self._by_process: dict[str, Mapping[str, object]] = {}

    def process_started(self, process: str) -> None:
        self._by_process.pop(process, None)

    def line_written(self, process: str, text: str) -> None:
        ledger = parse_ledger(text)
        if ledger is not None:
            self._by_process.pop(process, None)
            self._by_process[process] = ledger

    @property
    def latest(self) -> Mapping[str, object] | None:
        """The line as printed, decoded; None where no extension printed one."""
        return next(reversed(self._by_process.values()), None)


def parse_ledger(text: str) -> dict[str, object] | None:
    """The decoded line if it is a ledger, else None."""
    if LEDGER_TYPE not in text:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) and value.get("type") == LEDGER_TYPE else None
