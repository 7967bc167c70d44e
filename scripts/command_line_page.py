"""Write docs/reference/command-line.md from the commands' own help.

Usage: .venv/bin/python scripts/command_line_page.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from tailrace.cli import cli

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "command-line.md"
HEAD = """# The command line

What `--help` says, command by command. This page is written by `scripts/command_line_page.py`.

Exit codes: 0 every invocation succeeded, 1 a function failed, 2 wrong usage, 3 the environment could not start,
70 Tailrace itself is at fault, 74 standard output takes nothing more, 128 and more: ended by a signal.
"""
WIDTH = 100


def commands(group: click.Group, context: click.Context) -> Iterator[click.Context]:
    """Every command below `group`, as a context that can tell its help."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, terminal_width=WIDTH, max_content_width=WIDTH)
        if isinstance(command, click.Group):
            yield from commands(command, inner)
        else:
            yield inner


def page() -> str:
    """The whole page."""
    root = click.Context(cli, info_name="tailrace")
    sections = [f"## {inner.command_path}\n\n```\n{inner.get_help()}\n```\n" for inner in commands(cli, root)]
    return "\n".join([HEAD, *sections])


if __name__ == "__main__":
    PAGE.write_text(page())
