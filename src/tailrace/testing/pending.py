"""An invocation that was handed in, for tests that do something while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tailrace.emulator.invocations import PendingInvocation
from tailrace.testing.result import Result, make_result
from tailrace.testing.waiting import until

T = TypeVar("T")


class Pending:
    """What `LambdaEnvironment.submit` returns. The invocation goes on whether or not anybody waits for it."""

    def __init__(
        self, invocation: PendingInvocation, read: Callable[[Callable[[], bool]], bool], explain: Callable[[], str]
    ) -> None:
        self._invocation = invocation
        self._read = read
        self._explain = explain

    @property
    def request_id(self) -> str:
        return self._invocation.invocation.request_id

    @property
    def is_answered(self) -> bool:
        """Whether the invoker has its answer. Extensions may still be at work."""
        return self._read(self._invocation.answered.done)

    @property
    def is_done(self) -> bool:
        """Whether the invocation has ended for the platform, well or not."""
        return self._read(self._invocation.closed.done)

    def result(self, timeout_s: float = 5.0) -> Result:
        """Wait until it has ended for the platform, as `LambdaEnvironment.invoke` does.

        Raises `ConditionNotMetError` after `timeout_s`, and `EnvironmentEndedError` where the environment ended first.
        """
        __tracebackhide__ = True
        until(
            lambda: self.is_done,
            timeout_s,
            lambda: f"the invocation did not end within {timeout_s:g} s; {self._explain()}",
        )
        return make_result(self._invocation.closed.result())

    def __repr__(self) -> str:
        state = "done" if self.is_done else "answered" if self.is_answered else "running"
        return f"<Pending {self.request_id}: {state}>"
