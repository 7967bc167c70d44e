"""What `serve` shows of calls that follow one another quickly."""

from __future__ import annotations

import io

from rich.console import Console

from support.emulator_async import run, until
from tailrace.cli.serving import ServeScreen
from tailrace.emulator.function import Answer, Invocation, Report
from tailrace.emulator.machine.effects import WriteLog
from tailrace.emulator.observer import InvocationResult


def call(screen: ServeScreen, number: int) -> None:
    """One invocation from its start to its end."""
    request_id = f"id-{number}"
    answer = Answer(request_id, b'"done"')
    screen.invocation_started(Invocation(request_id, b"{}"))
    screen.invocation_answered(answer)
    report = Report(request_id, "success", "", 1.0, 1, 128, 40, None)
    screen.invocation_closed(InvocationResult(answer, report, ()))


def shown(file: io.StringIO) -> list[str]:
    """The first two words of each line."""
    return [" ".join(line.split()[:2]) for line in file.getvalue().splitlines()]


def screen_on(file: io.StringIO) -> ServeScreen:
    return ServeScreen(Console(file=file, width=100), lambda: 0)


def test_lines_of_a_burst_of_calls_are_shown_together_in_order() -> None:
    file = io.StringIO()

    async def main() -> None:
        screen = screen_on(file)
        for number in range(3):
            call(screen, number)
        assert shown(file) == []
        await until(lambda: shown(file) == ["invoke 1", "invoke 2", "invoke 3"])

    run(main())


def test_a_log_line_of_the_next_call_comes_after_what_waits() -> None:
    file = io.StringIO()

    async def main() -> None:
        screen = screen_on(file)
        call(screen, 1)
        screen.log_written(WriteLog("function", "second call", "id-2"))

    run(main())
    assert shown(file) == ["invoke 1", "second call"]


def test_without_a_loop_a_line_is_shown_at_once() -> None:
    file = io.StringIO()

    call(screen_on(file), 1)

    assert shown(file) == ["invoke 1"]
