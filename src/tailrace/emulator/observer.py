"""What a person may want to see of an environment while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tailrace.emulator.faults.effects import ReportFault
from tailrace.emulator.function import Answer, Invocation, Report
from tailrace.emulator.machine.effects import ReportInit, WriteLog
from tailrace.emulator.plain_value import plain_value


@plain_value
class InvocationResult:
    """One finished invocation: what the invoker got, its figures, and its lines of the log stream in order.

    Of very many lines only the newest are in `logs`; `n_logs_left_out` says how many are not.
    """

    answer: Answer
    report: Report
    logs: tuple[WriteLog, ...]
    n_logs_left_out: int = 0


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a process ended. Exactly one of `exit_code` and `signal` (``SIGKILL``) is set.

    `name` is ``runtime`` or the extension's name; `generation` counts the starts of the environment's
    processes, so that a reset shows.
    """

    name: str
    is_extension: bool
    generation: int
    exit_code: int | None
    signal: str | None

    @property
    def status(self) -> int | str:
        """Exit code or name of the signal."""
        return self.signal if self.signal is not None else self.exit_code or 0


class Observer(Protocol):
    """Told of everything as it happens, in order, from the event loop: its methods return at once.

    Derive from `SilentObserver` to hear only some of it.
    """

    def log_written(self, line: WriteLog) -> None:
        """A line for the log stream: START, a function's line, REPORT ... in Lambda's own text."""

    def init_reported(self, report: ReportInit) -> None:
        """An init phase ended, well or not; `phase` is ``init``, or ``invoke`` for one inside an invocation."""

    def invocation_started(self, invocation: Invocation) -> None:
        """The environment took the invocation up; before, it waited for the one before it."""

    def invocation_answered(self, answer: Answer) -> None:
        """The invoker has its answer. Extensions may still be at work."""

    def invocation_closed(self, result: InvocationResult) -> None:
        """The invocation has ended for the platform."""

    def frozen(self) -> None:
        """Every process is stopped."""

    def thawed(self) -> None:
        """Every process runs again."""

    def fault_happened(self, fault: ReportFault | None, problem: str) -> None:
        """Something of a fault plan happens now; or `problem` says what kept (a part of) one from happening."""

    def process_exited(self, exit: ProcessExit) -> None:  # noqa: A002 - the word for it
        """The runtime or an extension ended, whether it should have or not."""

    def environment_ended(self, reason: str) -> None:
        """Shut down; nothing follows."""


class SilentObserver:
    """Sees everything and says nothing."""

    def log_written(self, line: WriteLog) -> None:
        pass

    def init_reported(self, report: ReportInit) -> None:
        pass

    def invocation_started(self, invocation: Invocation) -> None:
        pass

    def invocation_answered(self, answer: Answer) -> None:
        pass

    def invocation_closed(self, result: InvocationResult) -> None:
        pass

    def frozen(self) -> None:
        pass

    def thawed(self) -> None:
        pass

    def fault_happened(self, fault: ReportFault | None, problem: str) -> None:
        pass

    def process_exited(self, exit: ProcessExit) -> None:  # noqa: A002 - as in Observer
        pass

    def environment_ended(self, reason: str) -> None:
        pass
