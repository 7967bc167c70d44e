"""`tailrace config check`: what the agent would do with a file and an environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tailrace.cli.agent_view import AgentView
    from tailrace.cli.reaching import Reached

EXAMPLES = """\b
Examples:
  tailrace config check
  tailrace config check src/tailrace.toml --env TAILRACE_FLUSH=end
  tailrace config check --reach
"""


_LABELS = {"standsInFor": "stands in for", "queueMaxBytes": "queue_max_bytes"}


@click.group("config", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The agent's configuration."""


@command.command("check", epilog=EXAMPLES)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--env", "variables", multiple=True, metavar="K=V", help="A variable; K alone copies it from here.")
@click.option("--reach", is_flag=True, help="Ask each destination whether it is there, from this machine.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, 600, min_open=True),
    metavar="SECONDS",
    default=5.0,
    help="With --reach: for each destination's answer. [default: 5]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def check(file: Path | None, variables: tuple[str, ...], reach: bool, timeout_s: float, as_json: bool) -> int:
    """Say what the agent would do: each setting, where it comes from, and everything that is wrong.

    FILE is a configuration file; without it the one that TAILRACE_CONFIG_FILE names, or where the agent looks, or
    ./tailrace.toml. Variables come from the environment of this command, those of --env before them. Secrets are
    masked. Exit code 2 when anything is wrong, also when there is no destination: then every record would be dropped.

    With --reach each destination is asked from here, and with the credentials that are here, for something that stores
    nothing: a bucket for its existence, a web server for what it can do. Exit code 1 when one that can be asked is not
    reachable.
    """
    import json
    import os

    from tailrace.cli.agent_view import AgentView
    from tailrace.cli.inputs import read_variables

    view = AgentView(file, read_variables(variables, os.environ), os.environ)
    reached = _reach(view, timeout_s) if reach else None
    if as_json:
        click.echo(json.dumps(document(view, reached), indent=2))
    else:
        for line in lines(view, reached):
            click.echo(line)
    if view.problems or view.is_unheard:
        return 2
    return 1 if any(one.is_bad for one in reached or ()) else 0


def _reach(view: AgentView, timeout_s: float) -> list[Reached]:
    """Every destination's answer. Where a person looks it is shown who has answered."""
    from tailrace.cli.reaching import ask_all, destinations_of
    from tailrace.cli.screen import new_console
    from tailrace.clock import SystemClock
    from tailrace.pipeline.wire.transport import CompositeTransport

    destinations = destinations_of(view)
    clock, environ = SystemClock(), view.environ_without_stand_ins
    left = {one.name for one in destinations}
    with new_console(stderr=True).status(_waiting_for(left)) as status:

        def told(answer: Reached) -> None:
            left.discard(answer.name)
            status.update(_waiting_for(left))

        return ask_all(destinations, lambda: CompositeTransport(clock, environ), clock, timeout_s, told)


def _waiting_for(names: set[str]) -> str:
    from rich.markup import escape

    return "waiting for " + escape(", ".join(sorted(names)))


def document(view: AgentView, reached: list[Reached] | None = None) -> dict[str, object]:
    """The JSON document: `file`, `settings`, `destinations`, `masks`, `warnings`, `problems`; `reach` where they were
    asked."""
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
        **({} if reached is None else {"reach": [one.to_object() for one in reached]}),
    }


def lines(view: AgentView, reached: list[Reached] | None = None) -> Iterator[str]:
    """The same for people."""
    yield f"file: {view.path or 'none'}"
    yield ""
    values = [(key, as_text(value), source) for key, _, value, source in view.values()]
    widths = [max(len(row[column]) for row in values) for column in (0, 1)]
    for key, text, source in values:
        yield f"  {key:{widths[0]}}  {text:{widths[1]}}  {source}"
    yield ""
    yield from _destination_lines(view)
    for mask in view.masks():
        yield f"mask {mask['name']}  ({mask['source']})"
    yield from _trouble_lines(view)
    if reached is not None:
        yield ""
        yield from reach_lines(reached)


def _destination_lines(view: AgentView) -> Iterator[str]:
    for place in view.destinations():
        yield f"destination {place['name']}  ({place['source']})"
        for name, value in place.items():
            if name not in ("name", "source") and value:
                yield f"  {_LABELS.get(name, name)}: {as_text(value)}"


def _trouble_lines(view: AgentView) -> Iterator[str]:
    if view.withholds:
        yield "a mask cannot be used: what functions and extensions write is withheld"
    for warning in view.warnings:
        yield f"warning: {warning}"
    for problem in view.problems:
        yield f"problem: {problem}"
    if view.problems:
        yield ""
        yield f"{len(view.problems)} {'problem' if len(view.problems) == 1 else 'problems'}"


def reach_lines(reached: list[Reached]) -> Iterator[str]:
    """What each destination answered, from where this runs."""
    yield "asked from this machine, which is not the function's network" if reached else "there is nobody to be asked"
    for one in reached:
        yield f"reach {one.line()}"


def as_text(value: object) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {as_text(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return str(value) if value != "" else "none"
