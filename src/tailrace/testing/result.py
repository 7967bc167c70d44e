"""What one invocation gave, in the form in which tests ask for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tailrace.emulator.machine.effects import WriteLog
from tailrace.emulator.observer import InvocationResult

_SHOWN_CHARS = 90
"""pytest cuts a value's text at 240 characters; the most telling things shall fit."""


@dataclass(frozen=True, slots=True)
class FunctionError:
    """Why an invocation failed, as the invoker is told: `type` is ``Sandbox.Timedout`` or the exception's name.

    `stack` are the frames of the function's own stack trace, where the runtime gave one.
    """

    type: str
    message: str
    stack: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.type else self.message

    def __repr__(self) -> str:
        where = f" ({' '.join(self.stack[-1].split())})" if self.stack else ""
        return f"<FunctionError {self}{where}>"


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """One finished invocation.

    `payload` is what the invoker got, decoded; text that is not JSON stays text. Of a failed invocation it is the
    error document, whose parts stand in `error`. `init_duration_ms` is None where the environment was warm. `logs`
    are the invocation's lines of the log stream, START, END and REPORT among them; of very many (8 MB) only the newest,
    and `logs_left_out` is how many came before; `report_line` is the last of those
    (a `platform.report` event under the JSON log format). `init_failure` says what kept the environment from getting
    ready before this invocation failed, or is empty.
    """

    payload: Any
    error: FunctionError | None
    request_id: str
    duration_ms: float
    billed_duration_ms: int
    init_duration_ms: float | None
    max_memory_used_mb: int
    logs: list[str]
    report_line: str
    raw_payload: bytes
    init_failure: str = ""
    logs_left_out: int = 0

    def __repr__(self) -> str:
        outcome = f"failed, {_shortened(str(self.error))}" if self.error else _shortened(_text(self.raw_payload))
        if self.init_failure:
            outcome += f" ({self.init_failure})"
        cold = f", cold start {self.init_duration_ms:g} ms" if self.init_duration_ms is not None else ""
        n_lines = len(self.logs) + self.logs_left_out
        figures = f"{self.duration_ms:g} ms{cold}, {self.max_memory_used_mb} MB, {n_lines} log lines"
        return f"<Result {outcome}: {figures}>"


def make_result(closed: InvocationResult, init_failure: str = "") -> Result:
    """From the environment's own account. `init_failure` counts only where the invocation failed."""
    report, answer = closed.report, closed.answer
    payload = _decoded(answer.payload)
    error = _error(payload) if answer.function_error else None
    return Result(
        payload=payload,
        error=error,
        request_id=report.request_id,
        duration_ms=report.duration_ms,
        billed_duration_ms=report.billed_duration_ms,
        init_duration_ms=report.init_duration_ms,
        max_memory_used_mb=report.max_memory_used_mb,
        logs=[line.text for line in closed.logs],
        report_line=next((line.text for line in reversed(closed.logs) if _is_report(line)), ""),
        raw_payload=answer.payload,
        init_failure=init_failure if error else "",
        logs_left_out=closed.n_logs_left_out,
    )


def _decoded(payload: bytes) -> object:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return _text(payload)


def _error(document: object) -> FunctionError:
    """The members of an error document (lambda-platform.md 3.5); Node's runtime names the stack `trace`."""
    if not isinstance(document, Mapping):
        return FunctionError("", str(document))
    stack = document.get("stackTrace") or document.get("trace") or ()
    frames = tuple(map(str, stack)) if isinstance(stack, list) else (str(stack),) if stack else ()
    return FunctionError(str(document.get("errorType") or ""), str(document.get("errorMessage") or ""), frames)


def _is_report(line: WriteLog) -> bool:
    if line.source != "platform":
        return False
    return line.text.startswith("REPORT ") or '"type":"platform.report"' in line.text


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", "replace")


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
