"""Invocations on their way through an environment: one at a time, the others wait their turn."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from tailrace.emulator.function import Answer, Invocation, Report
from tailrace.emulator.invocation_log import InvocationLog
from tailrace.emulator.observer import InvocationResult


def new_trace_header(now_ns: int) -> str:
    """An X-Ray header for an invocation that came without one: known, not sampled (lambda-platform.md 3.2)."""
    root = f"{now_ns // 1_000_000_000:08x}-{secrets.token_hex(12)}"
    return f"Root=1-{root};Parent={secrets.token_hex(8)};Sampled=0"


def new_invocation(
    payload: bytes, now_ns: int, invoked_arn: str = "", trace_header: str = "", tenant_id: str = ""
) -> Invocation:
    """An invocation with identifiers of its own."""
    return Invocation(
        request_id=str(uuid.uuid4()),
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
        loop = asyncio.get_running_loop()
        self.invocation = invocation
        self.answered: asyncio.Future[Answer] = loop.create_future()
        self.closed: asyncio.Future[InvocationResult] = loop.create_future()
        self.log = InvocationLog()
        self.answered.add_done_callback(_mark_retrieved)
        self.closed.add_done_callback(_mark_retrieved)

    def answer(self, answer: Answer) -> None:
        if not self.answered.done():
            self.answered.set_result(answer)

    def close(self, report: Report) -> InvocationResult:
        """Raises `RuntimeError` when the invocation has no answer: nobody closes before answering."""
        if not self.answered.done():
            raise RuntimeError(f"invocation {report.request_id} was closed without an answer")
        lines = self.log.lines
        result = InvocationResult(self.answered.result(), report, tuple(lines), lines.n_left_out)
        if not self.closed.done():
            self.closed.set_result(result)
        return result

    def fail(self, error: BaseException) -> None:
        if not self.answered.done():
            self.answered.set_exception(error)
        if not self.closed.done():
            self.closed.set_exception(error)


def _mark_retrieved(future: asyncio.Future[Any]) -> None:
    """Whoever handed in an invocation may await one of the two futures only."""
    if not future.cancelled():
        future.exception()


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
