"""`--faults` and `--transcript` of `run` and `serve`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from tailrace.emulator.faults.plan import FaultPlan
    from tailrace.emulator.function import FunctionConfig
    from tailrace.emulator.instruments import Instruments

Command = TypeVar("Command", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path)

_OPTIONS = [
    click.option("--faults", type=_FILE, metavar="FILE", help="A plan of what shall go wrong (TOML), seeded."),
    click.option(
        "--transcript", type=_FILE, metavar="FILE", help="Write every fact and effect here, one JSON object a line."
    ),
]


def instrument_options(command: Command) -> Command:
    """Give a command the two options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextmanager
def prepared_instruments(
    config: FunctionConfig, faults: Path | None, transcript: Path | None
) -> Iterator[Instruments | None]:
    """What makes the machine, or None where the usual one will do. Raises `UsageError`.

    Afterwards it says which faults never happened, and why a transcript is incomplete.
    """
    if faults is None and transcript is None:
        yield None
        return
    from tailrace.cli.errors import say_warning
    from tailrace.emulator.instruments import Instruments
    from tailrace.emulator.transcript import Transcript

    plan = _plan(config, faults) if faults is not None else None
    if transcript is None:
        instruments = Instruments(plan)
        yield instruments
    else:
        with _opened(transcript) as file:
            written = Transcript(file)
            instruments = Instruments(plan, written)
            yield instruments
        if written.failure:
            say_warning(f"the transcript {transcript} is incomplete: {written.failure}")
    for fault in instruments.never_happened:
        say_warning(f"fault that never happened: {fault}")


def _plan(config: FunctionConfig, path: Path) -> FaultPlan:
    from tailrace.emulator.faults.plan_file import read_plan
    from tailrace.errors import ConfigError, UsageError

    try:
        plan = read_plan(path)
        try:
            plan.check([extension.name for extension in config.extensions], config.isolation.level)
        except ConfigError as error:
            raise ConfigError(f"{path}, {error.setting}", error.found, error.remedy) from None
    except ConfigError as error:
        raise UsageError(f"--faults {error.setting}", error.found, error.remedy) from None
    return plan


def _opened(path: Path) -> Any:
    from tailrace.emulator.transcript import open_transcript
    from tailrace.errors import UsageError

    try:
        return open_transcript(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            "--transcript", f"cannot write {path}: {reason}", "give a file in a folder that exists"
        ) from None
