"""The options that `run` and `serve` share, and what they mean together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path)

_SHARED = [
    click.argument("handler"),
    click.option(
        "--code", "code_dir", type=_FILE, default=Path(), help="Folder or zip of the function's code. [default: .]"
    ),
    click.option(
        "--runtime",
        type=click.Choice(["auto", "python", "nodejs", "provided"]),
        default="auto",
        metavar="NAME",
        help="auto, python, nodejs or provided. [default: auto, as the function's files say]",
    ),
    click.option("--bootstrap", type=_FILE, help="An executable as custom runtime, from anywhere."),
    click.option("--python", type=_FILE, help="Python for the function. [default: the one that runs tailrace]"),
    click.option("--node", type=_FILE, help="Node.js for the function. [default: node on PATH]"),
    click.option("--node-client", type=_FILE, metavar="DIR", help="Where npm has installed aws-lambda-ric."),
    click.option(
        "--extension",
        "extensions",
        multiple=True,
        metavar="PATH",
        help="An external extension; the bare word tailrace is ours.",
    ),
    click.option(
        "--layer", "layers", multiple=True, type=_FILE, help="A layer, folder or zip; merged in order as /opt."
    ),
    click.option("--env", "variables", multiple=True, metavar="K=V", help="A variable; K alone copies it from here."),
    click.option(
        "--timeout",
        "timeout_s",
        type=click.FloatRange(0, 900, min_open=True),
        metavar="SECONDS",
        default=3.0,
        help="The function's, up to 900. [default: 3]",
    ),
    click.option(
        "--memory",
        "memory_mb",
        type=click.IntRange(128, 10240),
        metavar="MB",
        default=128,
        help="The function's, 128 to 10240. [default: 128]",
    ),
    click.option(
        "--cpu",
        type=click.Choice(["host", "lambda"]),
        default="host",
        help="All of this machine, or Lambda's share for the memory: one processor at 1769 MB. [default: host]",
    ),
    click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Of the function's log."),
    click.option(
        "--isolation",
        type=click.Choice(["auto", "process", "namespace"]),
        default="auto",
        help="How far processes are kept apart from this machine. [default: auto, the best it allows]",
    ),
    click.option(
        "--mount",
        "mounts",
        multiple=True,
        metavar="SRC[:DST][:ro]",
        help="A file or folder of this machine to show where namespaces hide it.",
    ),
    click.option(
        "--tmp-size",
        "tmp_mb",
        type=click.IntRange(512, 10240),
        metavar="MB",
        default=512,
        help="Of /tmp, 512 to 10240, in namespaces. [default: 512]",
    ),
    click.option("--no-freeze", is_flag=True, help="Let processes run on between invocations."),
    click.option("--tenant-isolation", is_flag=True, help="Every invocation names its tenant; one an environment."),
    click.option(
        "--policy", "policies", multiple=True, metavar="NAME=VALUE", help="A choice about the platform, by name."
    ),
    click.option("--config", "config_file", type=_FILE, help="With [emulator.policy]. [default: ./tailrace.toml]"),
]


def function_options(command: Command) -> Command:
    """Give a command the argument HANDLER and the options that describe the function."""
    for option in reversed(_SHARED):
        command = option(command)
    return command
