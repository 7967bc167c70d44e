"""`tailrace serve`: one environment that stays, called through Lambda's own Invoke API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tailrace.cli.instruments import instrument_options
from tailrace.cli.options import function_options

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from tailrace.emulator.function import FunctionConfig
    from tailrace.emulator.instruments import Instruments
    from tailrace.emulator.workspace import Workspace

EXAMPLES = """\b
Examples:
  tailrace serve app.handler --code src --port 9000
  aws lambda invoke --endpoint-url http://127.0.0.1:9000 --function-name app out.json
"""


@click.command("serve", epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@function_options
@instrument_options
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=9000,
    help="To listen on; 0 takes a free one. [default: 9000]",
)
@click.option("--quiet", is_flag=True, help="One line an invocation, without the function's log.")
def command(
    port: int,
    quiet: bool,
    faults: Path | None,
    transcript: Path | None,
    **function: Any,
) -> int:
    """Keep HANDLER running in a local Lambda environment and answer the Lambda Invoke API on 127.0.0.1.

    Any function name is taken for this function. One call runs at a time; others wait in a bounded queue, then
    they are refused with 429. Ctrl-C shuts the environment down as Lambda does.
    """
    from tailrace.emulator.linux import require_linux

    require_linux()
    from tailrace.cli.instruments import prepared_instruments
    from tailrace.cli.screen import new_console
    from tailrace.cli.session import FunctionArguments, prepared
    from tailrace.emulator.run_loop import run

    with (
        prepared(FunctionArguments(**function)) as (config, workspace),
        prepared_instruments(config, faults, transcript) as instruments,
    ):
        return run(serve_function(config, workspace, new_console(), port, quiet, instruments))


async def serve_function(
    config: FunctionConfig,
    workspace: Workspace,
    console: Console,
    port: int,
    quiet: bool,
    instruments: Instruments | None = None,
) -> int:
    """Serve until somebody ends it; then shut down and tell the accounts."""
    import asyncio

    from tailrace.cli.serving import ServeScreen
    from tailrace.emulator.driver import ExecutionEnvironment, make_machine
    from tailrace.emulator.run_loop import keep_what_is_there
    from tailrace.emulator.servers.invoke_server import InvokeServer
    from tailrace.emulator.steady_clock import SteadyClock

    now_ns = SteadyClock()
    screen = ServeScreen(console, now_ns, quiet)
    factory = instruments.make_machine if instruments is not None else make_machine
    environment = ExecutionEnvironment(
        config, screen, workspace=workspace, now_ns=now_ns, machine_factory=factory, record_telemetry=False
    )
    server = InvokeServer(environment, port=port, on_error=screen.call_not_run)
    screen.headline(config)
    try:
        async with environment:
            await server.start()
            await environment.start()
            keep_what_is_there()
            screen.address(server.url, config)
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        screen.accounts(environment.ledger)
        return 0
    finally:
        await server.stop()
    return 0
