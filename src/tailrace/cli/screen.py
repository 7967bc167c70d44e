"""What a person sees while a function runs: the log stream as CloudWatch would show it, our own words dim beside it.

The same object collects the story that is told at the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.text import Text

from tailrace.cli.accounts import ledger_rows, ledger_table, subscriber_lines
from tailrace.cli.story import FrozenPart, InitPart, InvokePart, ShutdownPart, Story
from tailrace.cli.waterfall import waterfall
from tailrace.emulator.faults.effects import ReportFault
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.machine.effects import ReportInit, WriteLog
from tailrace.emulator.observer import InvocationResult, SilentObserver
from tailrace.emulator.telemetry.log import TelemetryCounts
from tailrace.packaging.own_extension import has_agent
from tailrace.version import __version__

LEDGER_MARK = '{"type":"tailrace.ledger"'
WORTH_TELLING_MS = 10
"""The environment is frozen for an instant between any two phases; only pauses are part of the story."""


def new_console(stderr: bool = False) -> Console:
    """A console that shows colour and pictures only where a person looks and has not asked for plain text."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Console(stderr=stderr, highlight=False, force_terminal=False if plain else None)


class Screen(SilentObserver):
    """Shows an environment on `console`; with `quiet` the log stream is left out. With `keep_logs` it stays in the
    story, as far as that keeps it."""

    def __init__(
        self, console: Console, now_ns: Callable[[], int], quiet: bool = False, keep_logs: bool = False
    ) -> None:
        self.story = Story()
        self._keep_logs = keep_logs
        self._console = console
        self._now_ns = now_ns
        self._quiet = quiet
        self._frozen_at_ns: int | None = None
        self._reason = ""
        self._has_agent = False

    # what the environment tells

    def log_written(self, line: WriteLog) -> None:
        if self._quiet or line.text.startswith(LEDGER_MARK):
            return
        self._write(line.text.rstrip("\n"), dim=line.source != "function")

    def fault_happened(self, fault: ReportFault | None, problem: str) -> None:
        if fault is not None:
            about = f", {fault.process}" if fault.process and fault.process != fault.fault.process else ""
            self._write(f"fault: {fault.fault} (invocation {fault.invocation}{about})", dim=True)
        if problem:
            self._write(f"fault not possible: {problem}", dim=False)

    def init_reported(self, report: ReportInit) -> None:
        self.story.parts.append(
            InitPart(
                report.phase,
                report.status,
                report.error_type,
                report.duration_ms,
                dict(report.ready_ms),
                report.error_message,
            )
        )

    def invocation_closed(self, result: InvocationResult) -> None:
        logs = tuple(line.text for line in result.logs) if self._keep_logs else ()
        self.story.add_invocation(InvokePart(result.answer, result.report, logs, result.n_logs_left_out))

    def frozen(self) -> None:
        self._frozen_at_ns = self._now_ns()

    def thawed(self) -> None:
        if self._frozen_at_ns is None:
            return
        frozen_ms = (self._now_ns() - self._frozen_at_ns) / 1e6
        self._frozen_at_ns = None
        if frozen_ms >= WORTH_TELLING_MS:
            self.story.parts.append(FrozenPart(frozen_ms))

    def environment_ended(self, reason: str) -> None:
        self._reason = reason

    # what the command tells

    def headline(self, config: FunctionConfig) -> None:
        """One dim line that says what runs and how."""
        self._has_agent = has_agent(config)
        facts = [
            f"tailrace {__version__}",
            "local Lambda environment",
            str(config.isolation),
            f"{config.runtime_name}, {config.memory_mb} MB, {config.timeout_s:g} s",
        ]
        self._print(Text("  ·  ".join(facts), style="dim"))
        self._print(Text())

    def shutdown_took(self, duration_ms: float) -> None:
        """The environment is gone."""
        self.story.parts.append(ShutdownPart(self._reason or "failure", duration_ms))

    def answer_shown(self, part: InvokePart) -> None:
        """The result of an invocation, under its log lines."""
        failed = part.status != "success"
        text = Text().append("→ ", style="dim")
        text.append(part.answer.payload.decode(errors="replace"), style="red" if failed else "green")
        self._print(text)
        self._print(Text())

    def summary(self, ledger: Mapping[str, object] | None, telemetry: TelemetryCounts) -> None:
        """The waterfall, and where the telemetry went."""
        for row in waterfall(self.story, pictures=self._console.is_terminal):
            self._print(row)
        self._print(Text())
        if ledger is not None and ledger_rows(ledger):
            self._print(Text("  where it all went"))
            for line in ledger_table(ledger):
                self._print(line)
            return
        self._print(Text("  telemetry"))
        for sentence in subscriber_lines(telemetry):
            self._print(Text(f"    {sentence}"))
        if self._has_agent:
            self._print(Text("    the agent left no ledger: it was killed before it could write one", style="red"))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)

    def _write(self, line: str, dim: bool) -> None:
        """A line of the log stream, exact to the tab: `Console.print` would expand tabs.

        The Python runtime joins the lines of a stack trace by carriage returns, to keep them one log event.
        """
        shown = line.replace("\r", "\n")
        if dim and self._console.is_terminal:
            shown = f"\x1b[2m{shown}\x1b[0m"
        self._console.file.write(shown + "\n")
        self._console.file.flush()
