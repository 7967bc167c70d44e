"""What a person sees of `serve`: the address, the line to copy, then one line an invocation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.text import Text

from tailrace.cli.accounts import ledger_rows, ledger_table
from tailrace.cli.screen import Screen
from tailrace.cli.story import InvokePart
from tailrace.cli.waterfall import invocation_line, plain_invocation_line
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.observer import InvocationResult

_SHOWN_WITHIN_S = 0.02


class ServeScreen(Screen):
    """A screen for an environment that lives long: it keeps no story, only a count."""

    def __init__(self, console: Console, now_ns: Callable[[], int], quiet: bool = False) -> None:
        super().__init__(console, now_ns, quiet)
        self._count = 0
        self._not_run = 0
        self._waiting: list[tuple[InvokePart, int]] = []

    def call_not_run(self, _error: BaseException) -> None:
        """An asynchronous call was taken, and the environment ended before its turn."""
        self._not_run += 1

    def address(self, url: str, config: FunctionConfig) -> None:
        """Where it listens, and the line to copy."""
        self._print(Text(f"listening on {url}"))
        call = f"aws lambda invoke --endpoint-url {url} --function-name {config.name} out.json"
        self._print(Text(f"  {call}", style="bold"))
        self._print(Text())

    def invocation_closed(self, result: InvocationResult) -> None:
        self.story.parts.clear()
        self._count += 1
        self._waiting.append((InvokePart(result.answer, result.report, ()), self._count))
        self._show_waiting_soon()

    def _show_waiting_soon(self) -> None:
        """Lines of a burst of calls are shown together: drawing each at once would hold up the next call."""
        if len(self._waiting) > 1:
            return  # the first of them has seen to it
        try:
            asyncio.get_running_loop().call_later(_SHOWN_WITHIN_S, self._show_waiting)
        except RuntimeError:  # nobody calls meanwhile
            self._show_waiting()

    def _show_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        if self._console.is_terminal:
            super()._print(Text("\n").join([invocation_line(part, number) for part, number in waiting]))
        else:
            lines = [plain_invocation_line(part, number) for part, number in waiting]
            super()._write("\n".join(lines), dim=False)

    def _print(self, text: Text) -> None:
        self._show_waiting()
        super()._print(text)

    def _write(self, line: str, dim: bool) -> None:
        self._show_waiting()
        super()._write(line, dim)

    def accounts(self, ledger: Mapping[str, object] | None) -> None:
        """At the end: where the telemetry went."""
        self._print(Text(f"stopped after {self._count} invocations"))
        if self._not_run:
            self._print(Text(f"{self._not_run} asynchronous calls were taken and not run", style="red"))
        if ledger is not None and ledger_rows(ledger):
            for line in ledger_table(ledger):
                self._print(line)
