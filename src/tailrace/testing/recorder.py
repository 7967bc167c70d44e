"""Keeps what an environment tells of itself, to be read from another thread."""

from __future__ import annotations

import sys

from tailrace.emulator.faults.effects import ReportFault
from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.machine.effects import ReportInit, WriteLog
from tailrace.emulator.machine.facts import extension_process
from tailrace.emulator.newest import Newest
from tailrace.emulator.observer import SilentObserver
from tailrace.protocol.platform_events import SUCCESS

MAX_LOG_BYTES = 32 * 1_048_576
"""Of memory, over all invocations."""


class Recorder(SilentObserver):
    """Written to by the event loop's thread only; what it hands out are copies. `extensions` are the external ones'
    names, to tell which of them is late."""

    def __init__(self) -> None:
        self._lines: Newest[str] = Newest(MAX_LOG_BYTES, sys.getsizeof)
        self._inits: list[ReportInit] = []
        self.extensions: tuple[str, ...] = ()
        self.is_frozen = False
        self._faults: list[Fault] = []
        self._problems: list[str] = []

    @property
    def lines(self) -> list[str]:
        return self._lines.copy()

    @property
    def n_lines_left_out(self) -> int:
        """How many older lines are not kept."""
        return self._lines.n_left_out

    @property
    def inits(self) -> list[ReportInit]:
        return self._inits.copy()

    @property
    def faults(self) -> list[Fault]:
        """What went wrong on purpose, in order."""
        return self._faults.copy()

    @property
    def fault_problems(self) -> list[str]:
        """What kept faults from happening, or parts of them."""
        return self._problems.copy()

    @property
    def init_failure(self) -> str:
        """What kept the environment from getting ready the last time, or nothing where it did get ready."""
        last = self._inits[-1] if self._inits else None
        if last is None or last.status == SUCCESS:
            return ""
        reason = ": ".join(filter(None, [last.error_type, last.error_message]))
        late = [name for name in self.extensions if extension_process(name) not in last.ready_ms]
        who = f"never ready: {', '.join(late)}" if late else ""
        return ", ".join(filter(None, [f"init {last.status}", reason, who]))

    def log_written(self, line: WriteLog) -> None:
        self._lines.append(line.text)

    def init_reported(self, report: ReportInit) -> None:
        self._inits.append(report)

    def fault_happened(self, fault: ReportFault | None, problem: str) -> None:
        if fault is not None:
            self._faults.append(fault.fault)
        if problem:
            self._problems.append(problem)

    def frozen(self) -> None:
        self.is_frozen = True

    def thawed(self) -> None:
        self.is_frozen = False

    def environment_ended(self, reason: str) -> None:
        self.is_frozen = False
