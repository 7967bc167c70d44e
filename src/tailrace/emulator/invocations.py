"""Invocations on their way through an environment: one at a time, the others wait their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tailrace.emulator.function import Answer, Invocation, Report
from tailrace.emulator.identifiers import IDS
from tailrace.emulator.invocation_log import InvocationLog
from tailrace.emulator.observer import InvocationResult
from tailrace.emulator.outcome import Outcome


def new_trace_header(now_ns: int) -> str:
    """An X-Ray header for an invocation that came without one: known, not sampled (lambda-platform.md 3.2)."""
    return f"Root=1-{now_ns // 1_000_000_000:08x}-{IDS.digits(24)};Parent={IDS.digits(16)};Sampled=0"


def new_invocation(
    payload: bytes, now_ns: int, invoked_arn: str = "", trace_header: str = "", tenant_id: str = ""
) -> Invocation:
    """An invocation with identifiers of its own."""
    return Invocation(
        request_id=IDS.uuid(),
        payload=payload,
        invoked_arn=invoked_arn,
        trace_header=trace_header or new_trace_header(now_ns),
        tenant_id=tenant_id,
    )


class PendingInvocation:
    """An invocation that was handed in. `answered` resolves first, `closed` when the platform is done with it.

    Both fail with `EnvironmentEndedError` when the environment ends before.
    """

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.answered: Outcome[Answer] = Outcome()
        self.closed: Outcome[InvocationResult] = Outcome()
        self.log = InvocationLog()

    def answer(self, answer: Answer) -> None:
        self.answered.set(answer)

    def close(self, report: Report) -> InvocationResult:
        """Raises `RuntimeError` when the invocation has no answer: nobody closes before answering."""
        if not self.answered.done():
            raise RuntimeError(f"invocation {report.request_id} was closed without an answer")
        lines = self.log.lines
        result = InvocationResult(self.answered.result(), report, tuple(lines), lines.n_left_out)
        self.closed.set(result)
        return result

    def fail(self, error: BaseException) -> None:
        self.answered.fail(error)
        self.closed.fail(error)


class InvocationQueue:
    """Offers one invocation at a time to `begin`."""

    def __init__(self, begin: Callable[[PendingInvocation], None]) -> None:
        self._begin = begin
        self._waiting: deque[PendingInvocation] = deque()
        self.current: PendingInvocation | None = None

    def add(self, pending: PendingInvocation) -> None:
        self._waiting.append(pending)
        self._advance()

    def finish_current(self) -> None:
        """The current invocation is closed; the next one begins."""
        self.current = None
        self._advance()

    def fail_all(self, error: BaseException) -> None:
        pending = [*([self.current] if self.current else []), *self._waiting]
        self.current = None
        self._waiting.clear()
        for each in pending:
            each.fail(error)

    def _advance(self) -> None:
        if self.current is None and self._waiting:
            self.current = self._waiting.popleft()
            self._begin(self.current)
