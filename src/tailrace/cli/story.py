"""What happened in a run, in order: collected while it runs, told at the end."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from tailrace.emulator.function import Answer, Report


@dataclass(frozen=True)
class InitPart:
    """One init phase. `phase` is ``init``, or ``invoke`` when it ran inside an invocation."""

    phase: str
    status: str
    error_type: str
    duration_ms: float
    ready_ms: dict[str, float]
    error_message: str = ""


@dataclass(frozen=True)
class InvokePart:
    """One invocation: what the invoker got, and the platform's figures."""

    answer: Answer
    report: Report
    logs: tuple[str, ...]

    @property
    def status(self) -> str:
        """``success``, ``error`` or ``timeout``, as the invoker sees it."""
        if not self.answer.function_error:
            return "success"
        return "timeout" if self.report.status == "timeout" else "error"

    @property
    def document(self) -> object:
        """The payload as a JSON value; text that is not JSON stays text."""
        try:
            return json.loads(self.answer.payload)
        except ValueError:
            return self.answer.payload.decode(errors="replace")


@dataclass(frozen=True)
class FrozenPart:
    """The environment stood still for that long."""

    duration_ms: float


@dataclass(frozen=True)
class ShutdownPart:
    """The end of the environment."""

    reason: str
    duration_ms: float


Part = InitPart | InvokePart | FrozenPart | ShutdownPart


@dataclass
class Story:
    """The parts of a run in the order in which they ended."""

    parts: list[Part] = field(default_factory=list)

    @property
    def invocations(self) -> list[InvokePart]:
        return [part for part in self.parts if isinstance(part, InvokePart)]

    @property
    def inits(self) -> list[InitPart]:
        return [part for part in self.parts if isinstance(part, InitPart)]
