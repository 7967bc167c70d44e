"""What happened in a run, in order: collected while it runs, told at the end."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field, replace

from tailrace.emulator.function import Answer, Report
from tailrace.emulator.newest import memory_of

MAX_LOG_BYTES = 32 * 1_048_576


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
    n_logs_left_out: int = 0

    def without_logs(self) -> InvokePart:
        return replace(self, logs=(), n_logs_left_out=self.n_logs_left_out + len(self.logs))

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
    """The parts of a run in the order in which they ended. All logs together take at most `max_log_bytes` of memory:
    where there are more, the oldest invocations lose theirs."""

    parts: list[Part] = field(default_factory=list)
    max_log_bytes: int = MAX_LOG_BYTES
    _with_logs: deque[tuple[int, int]] = field(default_factory=deque)
    _log_bytes: int = 0

    def add_invocation(self, part: InvokePart) -> None:
        self.parts.append(part)
        if not part.logs:
            return
        n_bytes = memory_of(part.logs)
        self._with_logs.append((len(self.parts) - 1, n_bytes))
        self._log_bytes += n_bytes
        while self._log_bytes > self.max_log_bytes and len(self._with_logs) > 1:
            index, n_bytes = self._with_logs.popleft()
            self._log_bytes -= n_bytes
            oldest = self.parts[index]
            assert isinstance(oldest, InvokePart)
            self.parts[index] = oldest.without_logs()

    @property
    def invocations(self) -> list[InvokePart]:
        return [part for part in self.parts if isinstance(part, InvokePart)]

    @property
    def inits(self) -> list[InitPart]:
        return [part for part in self.parts if isinstance(part, InitPart)]
