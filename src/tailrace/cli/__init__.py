"""The command line: one file a command, heavy imports inside the command.

Exit codes are part of the interface: 0 everything succeeded, 1 a function failed or dead letters are left, 2 wrong
usage, 3 the environment could not start, 70 Tailrace itself is at fault, 74 standard output takes nothing more, 130
interrupted.
"""

from __future__ import annotations

import importlib
import sys

import click

from tailrace.cli import standard_output
from tailrace.cli.errors import report_fault, say_error
from tailrace.cli.standard_output import StandardOutputError
from tailrace.errors import EnvironmentStartError, TailraceError, UsageError
from tailrace.version import __version__

COMMANDS = {
    "config": "Check the agent's configuration.",
    "doctor": "Say what this machine can do, and what to do about the rest.",
    "explain": "Show what each destination would receive, byte for byte.",
    "layer": "Build the Lambda layer.",
    "replay": "Send dead letters again.",
    "run": "Run a function in a local Lambda environment.",
    "serve": "Keep a function running and answer the Lambda Invoke API.",
    "version": "Show the version.",
}

EXAMPLES = """\b
Examples:
  tailrace run app.handler --extension tailrace --env TAILRACE_DESTINATIONS=file:///tmp/logs
  tailrace serve app.handler --port 9000
"""


class LazyGroup(click.Group):
    """Loads a command's module when that command is wanted, so that `--help` and errors come at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tailrace.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Ship telemetry out of AWS Lambda without losing it, and run Lambda locally to prove it."""


def main(arguments: list[str] | None = None) -> None:
    """The entry point: runs a command and ends the process with its exit code."""
    standard_output.watch()
    sys.exit(run_command(arguments))


def run_command(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code; every error has been told by then."""
    try:
        result = cli.main(args=arguments, prog_name="tailrace", standalone_mode=False)
        standard_output.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        return say_error(error.format_message(), remedy=_help_hint(error), exit_code=2)
    except UsageError as error:
        return say_error(f"{error.setting}: {error.found}", remedy=error.remedy, exit_code=2)
    except EnvironmentStartError as error:
        return say_error(str(error), exit_code=3)
    except TailraceError as error:
        return say_error(str(error), exit_code=2)
    except StandardOutputError as error:
        return say_error(str(error), exit_code=standard_output.EXIT_CODE)
    except (KeyboardInterrupt, click.Abort):
        return say_error("interrupted; everything that was started has been stopped", exit_code=130)
    except Exception as error:  # noqa: BLE001 - the last place where a fault of our own can be told
        return report_fault(error)
    except BaseException as error:  # noqa: BLE001 - its type lives where asyncio is imported, too heavy for here
        return _terminated(error)
    return result if isinstance(result, int) else 0


def _terminated(error: BaseException) -> int:
    """The exit code of a process that was told to end by a signal and has cleaned up; anything else is raised on."""
    number = getattr(error, "signal", None)
    if number is None:
        raise error
    return say_error(f"ended by {number.name}; everything that was started has been stopped", exit_code=128 + number)


def _help_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "tailrace"
    return f"try: {path} --help"
