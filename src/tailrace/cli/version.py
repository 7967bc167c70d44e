"""`tailrace version`."""

from __future__ import annotations

import click


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(as_json: bool) -> None:
    """Show the version of Tailrace and of the Python that runs it."""
    import json
    import platform

    from tailrace.version import __version__

    if as_json:
        click.echo(json.dumps({"version": __version__, "python": platform.python_version()}))
    else:
        click.echo(f"tailrace {__version__} (Python {platform.python_version()})")
