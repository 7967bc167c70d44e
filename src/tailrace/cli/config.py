"""`tailrace config check`: what the agent would do with a file and an environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tailrace.cli.agent_view import AgentView

EXAMPLES = """\b
Examples:
  tailrace config check
  tailrace config check src/tailrace.toml --env TAILRACE_FLUSH=end
"""


@click.group("config", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The agent's configuration."""


@command.command("check", epilog=EXAMPLES)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--env", "variables", multiple=True, metavar="K=V", help="A variable; K alone copies it from here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def check(file: Path | None, variables: tuple[str, ...], as_json: bool) -> int:
    """Say what the agent would do: each setting, where it comes from, and everything that is wrong.

    FILE is a configuration file; without it the one that TAILRACE_CONFIG_FILE names, or where the agent looks, or
    ./tailrace.toml. Variables come from the environment of this command, those of --env before them. Secrets are
    masked. Exit code 2 when anything is wrong.
    """
    import json
    import os

    from tailrace.cli.agent_view import AgentView
    from tailrace.cli.inputs import read_variables

    view = AgentView(file, read_variables(variables, os.environ), os.environ)
    if as_json:
        click.echo(json.dumps(document(view), indent=2))
    else:
        for line in lines(view):
            click.echo(line)
    return 2 if view.problems else 0


def document(view: AgentView) -> dict[str, object]:
    """The JSON document: `file`, `settings`, `destinations`, `masks`, `warnings`, `problems`."""
    from tailrace.cli.agent_view import problem_objects

    return {
        "file": view.path,
        "settings": [
            {"key": key, "variable": variable, "value": value, "source": source}
            for key, variable, value, source in view.values()
        ],
        "destinations": view.destinations(),
        "masks": view.masks(),
        "withholds": view.withholds,
        "warnings": view.warnings,
        "problems": problem_objects(view.problems),
    }


def lines(view: AgentView) -> Iterator[str]:
    """The same for people."""
    yield f"file: {view.path or 'none'}"
    yield ""
    values = [(key, as_text(value), source) for key, _, value, source in view.values()]
    widths = [max(len(row[column]) for row in values) for column in (0, 1)]
    for key, text, source in values:
        yield f"  {key:{widths[0]}}  {text:{widths[1]}}  {source}"
    yield ""
    for place in view.destinations():
        yield f"destination {place['name']}  ({place['source']})"
        for name, value in place.items():
            if name not in ("name", "source") and value:
                yield f"  {name}: {as_text(value)}"
    for mask in view.masks():
        yield f"mask {mask['name']}  ({mask['source']})"
    if view.withholds:
        yield "a mask cannot be used: what functions and extensions write is withheld"
    for warning in view.warnings:
        yield f"warning: {warning}"
    for problem in view.problems:
        yield f"problem: {problem}"
    if view.problems:
        yield ""
        yield f"{len(view.problems)} {'problem' if len(view.problems) == 1 else 'problems'}"


def as_text(value: object) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {as_text(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value) if value != "" else "none"
