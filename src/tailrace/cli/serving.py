"""What a person sees of `serve`: the address, the line to copy, then one line an invocation."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from tailrace.cli.accounts import ledger_rows, ledger_table
from tailrace.cli.screen import Screen
from tailrace.cli.waterfall import invocation_line
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.observer import InvocationResult


class ServeScreen(Screen):
    """A screen for an environment that lives long: it keeps no story, only a count."""

    _count = 0
    _not_run = 0

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
        super().invocation_closed(result)
        part = self.story.invocations[-1]
        self.story.parts.clear()
        self._count += 1
        self._print(invocation_line(part, self._count))

    def accounts(self, ledger: Mapping[str, object] | None) -> None:
        """At the end: where the telemetry went."""
        self._print(Text(f"stopped after {self._count} invocations"))
        if self._not_run:
            self._print(Text(f"{self._not_run} asynchronous calls were taken and not run", style="red"))
        if ledger is not None and ledger_rows(ledger):
            for line in ledger_table(ledger):
                self._print(line)
