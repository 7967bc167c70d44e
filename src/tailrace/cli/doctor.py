"""`tailrace doctor`: what this machine can do, and what to do about the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from tailrace.emulator.capabilities import Finding, MachineFacts

EXAMPLES = """\b
Examples:
  tailrace doctor
  tailrace doctor --json
"""

_STYLES = {"ok": "green", "limited": "yellow", "missing": "bold red"}


@click.command("doctor", epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(as_json: bool) -> int:
    """Say what this machine can do for local environments, and what to do about the rest.

    Everything is tried for real, and nothing is left behind; what killed emulators left is removed. Exit code 0 when
    functions run here, 1 when something they need is missing.
    """
    from tailrace.emulator.linux import require_linux

    require_linux()
    from tailrace.emulator.capabilities import is_usable, judge
    from tailrace.emulator.machine_look import look

    machine = look()
    findings = judge(machine)
    if as_json:
        click.echo(document(machine, findings))
    else:
        from tailrace.cli.screen import new_console

        show(new_console(), machine, findings)
    return 0 if is_usable(findings) else 1


def document(machine: MachineFacts, findings: tuple[Finding, ...]) -> str:
    """The JSON document: `usable`, `isolation` (what `auto` takes), and `checks` in order."""
    import json

    from tailrace.emulator.capabilities import is_usable

    checks = [
        {"name": point.name, "mark": point.mark, "found": point.found, "remedy": point.remedy} for point in findings
    ]
    return json.dumps({"usable": is_usable(findings), "isolation": machine.isolation, "checks": checks}, indent=2)


def show(console: Console, machine: MachineFacts, findings: tuple[Finding, ...]) -> None:
    """A line for each point, with its remedy below it, and one that sums up."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for point in findings:
        told = Text(point.found)
        if point.remedy:
            told.append(f"\n{point.remedy}", "dim")
        table.add_row(Text(point.mark, _STYLES[point.mark]), Text(point.name, "bold"), told)
    console.print(Padding(table, (0, 0, 0, 2)))
    console.print()
    console.print(Text(_summary(machine, findings)))


def _summary(machine: MachineFacts, findings: tuple[Finding, ...]) -> str:
    missing = [point.name for point in findings if point.mark == "missing"]
    if missing:
        return f"Functions do not run here yet: {', '.join(missing)}."
    return f"Functions run here, in {machine.isolation} isolation."
