"""`tailrace layer build`."""

from __future__ import annotations

from pathlib import Path

import click

EXAMPLES = """\b
Examples:
  tailrace layer build
  tailrace layer build -o dist/tailrace.zip --runtime python3.13
"""


@click.group("layer", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The Lambda layer that holds the agent."""


@command.command("build", epilog=EXAMPLES)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("tailrace-layer.zip"),
    help="The zip to write. [default: tailrace-layer.zip]",
)
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    metavar="NAME",
    help="Include bytecode for this runtime (python3.13); repeatable. [default: every interpreter found]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def build(output: Path, runtimes: tuple[str, ...], as_json: bool) -> None:
    """Build the layer for Python functions: the very zip to upload.

    The same input gives the same bytes. Bytecode for an interpreter is made by that interpreter, so it has to be
    on this machine.
    """
    import hashlib
    import json

    from tailrace.cli.figures import size
    from tailrace.packaging import interpreters
    from tailrace.packaging.layer import build_layer

    chosen = interpreters.named(runtimes) if runtimes else interpreters.find_all()
    report = build_layer(output, chosen)
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    if as_json:
        document = {
            "path": str(output),
            "zippedBytes": report.zipped_bytes,
            "unzippedBytes": report.unzipped_bytes,
            "sha256": digest,
            "runtimes": report.runtimes,
            "uncovered": report.uncovered,
        }
        click.echo(json.dumps(document))
        return
    click.echo(f"{output}  {size(report.zipped_bytes)} ({size(report.unzipped_bytes)} unzipped)  sha256 {digest[:16]}…")
    for sentence in report.sentences():
        click.echo(sentence)
