"""`tailrace run`: a function, its invocations, and what became of its telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tailrace.cli.instruments import instrument_options
from tailrace.cli.options import function_options

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from tailrace.cli.screen import Screen
    from tailrace.emulator.driver import ExecutionEnvironment
    from tailrace.emulator.function import FunctionConfig
    from tailrace.emulator.instruments import Instruments
    from tailrace.emulator.workspace import Workspace

EXAMPLES = """\b
Examples:
  tailrace run app.handler --event '{"n": 1}' --invocations 3 --pause 1
  tailrace run app.handler --extension tailrace --env TAILRACE_DESTINATIONS=file:///tmp/logs
"""


@click.command("run", epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@function_options
@instrument_options
@click.option("--event", default="{}", metavar="JSON|@FILE|-", help="What the function is given. [default: {}]")
@click.option(
    "--invocations", type=click.IntRange(1), metavar="N", default=1, help="How many, one after the other. [default: 1]"
)
@click.option(
    "--pause", "pause_s", type=click.FloatRange(0), metavar="SECONDS", default=0.0, help="Frozen that long in between."
)
@click.option("--tenant-id", default="", metavar="ID", help="The tenant that calls, where the function wants one.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on standard output, the rest on standard error."
)
def command(
    event: str,
    invocations: int,
    pause_s: float,
    tenant_id: str,
    as_json: bool,
    faults: Path | None,
    transcript: Path | None,
    **function: Any,
) -> int:
    """Run HANDLER (module.function) in a local Lambda environment and print what CloudWatch would show.

    Exit code 0 when every invocation succeeded, 1 when a function failed, 2 for wrong usage, 3 when the
    environment could not start.
    """
    from tailrace.emulator.linux import require_linux

    require_linux()

    import sys

    from tailrace.cli.inputs import read_event
    from tailrace.cli.instruments import prepared_instruments
    from tailrace.cli.screen import new_console
    from tailrace.cli.session import FunctionArguments, prepared
    from tailrace.emulator.run_loop import run
    from tailrace.emulator.servers.tenancy import check_tenant

    payload = read_event(event, sys.stdin)
    check_tenant(tenant_id, is_isolated=bool(function["tenant_isolation"]))
    plan = Plan(payload, invocations, pause_s, tenant_id)
    console = new_console(stderr=as_json)
    with (
        prepared(FunctionArguments(**function)) as (config, workspace),
        prepared_instruments(config, faults, transcript) as instruments,
    ):
        return run(run_function(config, workspace, plan, console, as_json, instruments))


class Plan:
    """What shall be invoked, how often, for whom, and how long the environment stands still in between."""

    def __init__(self, payload: bytes, invocations: int, pause_s: float, tenant_id: str = "") -> None:
        self.payload = payload
        self.invocations = invocations
        self.pause_s = pause_s
        self.tenant_id = tenant_id


async def run_function(
    config: FunctionConfig,
    workspace: Workspace,
    plan: Plan,
    console: Console,
    as_json: bool,
    instruments: Instruments | None = None,
) -> int:
    """Run the plan, show it, and return the exit code."""
    import asyncio

    from tailrace.cli.screen import Screen
    from tailrace.emulator.driver import ExecutionEnvironment, make_machine
    from tailrace.emulator.steady_clock import SteadyClock

    now_ns = SteadyClock()
    screen = Screen(console, now_ns, keep_logs=as_json)
    factory = instruments.make_machine if instruments is not None else make_machine
    environment = ExecutionEnvironment(config, screen, workspace=workspace, now_ns=now_ns, machine_factory=factory)
    screen.headline(config)
    async with environment:
        try:
            await environment.start()
            await _invoke_all(environment, plan, screen)
        except asyncio.CancelledError:
            _say_what_was_not_done(plan, screen)
            raise
        started_ns = now_ns()
        await environment.shutdown()
        screen.shutdown_took((now_ns() - started_ns) / 1e6)
    screen.summary(environment.ledger, environment.telemetry_counts)
    if as_json:
        _print_document(config, environment, screen)
    return exit_code(screen, config)


async def _invoke_all(environment: ExecutionEnvironment, plan: Plan, screen: Screen) -> None:
    import asyncio

    from tailrace.emulator.invocations import new_invocation

    for number in range(plan.invocations):
        if number and plan.pause_s:
            await asyncio.sleep(plan.pause_s)
        invocation = new_invocation(plan.payload, environment.now_ns(), tenant_id=plan.tenant_id)
        await environment.invoke(invocation)
        screen.answer_shown(screen.story.invocations[-1])


def _say_what_was_not_done(plan: Plan, screen: Screen) -> None:
    from tailrace.cli.errors import say_warning

    done = len(screen.story.invocations)
    say_warning(f"{done} of {plan.invocations} invocations were done; what the others would have sent is missing")


def exit_code(screen: Screen, config: FunctionConfig) -> int:
    """0 when every invocation succeeded, 1 when a function failed, 3 when the environment never got ready."""
    from tailrace.cli.errors import say_error
    from tailrace.cli.outcome import load_failure, start_failure

    failure = start_failure(screen.story, config)
    if failure is not None:
        return say_error(failure.sentence, remedy=failure.remedy, exit_code=3)
    failure = load_failure(screen.story, config)
    if failure is not None:
        return say_error(failure.sentence, remedy=failure.remedy, exit_code=1)
    return int(any(part.status != "success" for part in screen.story.invocations))


def _print_document(config: FunctionConfig, environment: ExecutionEnvironment, screen: Screen) -> None:
    import sys

    from tailrace.cli.document import run_document, written

    telemetry = (entry.as_json() for entry in environment.telemetry_log)
    exits = {name: end.status for name, end in environment.process_exits.items()}
    document = run_document(
        screen.story,
        config,
        environment.isolation,
        telemetry,
        environment.telemetry_counts.n_left_out,
        environment.ledger,
        exits,
    )
    sys.stdout.writelines(written(document))
    click.echo()
