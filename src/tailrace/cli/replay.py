"""`tailrace replay`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tailrace.replay.places import Place, StoredFile
    from tailrace.replay.replay import Handled, Replay
    from tailrace.replay.selection import Selection
    from tailrace.replay.state import Confirmations
    from tailrace.replay.targets import Targets

EXAMPLES = """\b
Examples:
  tailrace replay s3://logs/dead --list
  tailrace replay s3://logs/dead --since 24h --reason shutdown
  tailrace replay /tmp/dead --to https://logs.example.com/in --dry-run
"""
VARIABLE = "TAILRACE_DEAD_LETTER"


@click.command("replay", epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("location", required=False)
@click.option("--to", metavar="URL", help="Send all to this destination. [default: each to its own]")
@click.option("--reason", "reasons", multiple=True, metavar="WORD", help="Only with this reason or error text.")
@click.option("--destination", "destinations", multiple=True, metavar="URL", help="Only what was meant for it.")
@click.option("--function", "functions", multiple=True, metavar="NAME", help="Only from this function.")
@click.option("--request-id", "request_ids", multiple=True, metavar="ID", help="Only with records of this request.")
@click.option("--since", metavar="TIME", help="From this time, day or age on: 2026-11-20T21:30:00Z, 2026-11-20, 24h.")
@click.option("--until", metavar="TIME", help="Before this time, day or age.")
@click.option("--list", "only_list", is_flag=True, help="Show what is there; send nothing.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent where; send nothing.")
@click.option("--again", is_flag=True, help="Send what was confirmed before, too.")
@click.option(
    "--state",
    "state_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where confirmed envelopes are noted. [default: one file a location below ~/.local/state/tailrace]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(
    location: str | None,
    to: str | None,
    reasons: tuple[str, ...],
    destinations: tuple[str, ...],
    functions: tuple[str, ...],
    request_ids: tuple[str, ...],
    since: str | None,
    until: str | None,
    only_list: bool,
    dry_run: bool,
    again: bool,
    state_file: Path | None,
    as_json: bool,
) -> int:
    """Send again what could not be delivered: the dead letters in LOCATION, a folder or an s3:// URL.

    Without LOCATION it is taken from TAILRACE_DEAD_LETTER. Destinations, headers and credentials come from the
    environment, in the agent's own variables. What a destination has confirmed is noted and not sent again: after an
    interruption the same command goes on. Exit code 0 when nothing that was asked for is left, 1 otherwise.
    """
    import os
    import time

    from tailrace.errors import UsageError
    from tailrace.replay.places import open_place
    from tailrace.replay.selection import Selection, moment_ms
    from tailrace.replay.state import Confirmations, default_state_path

    environ = dict(os.environ)
    if only_list and dry_run:
        raise UsageError("--list", "it cannot stand with --dry-run", "--list shows what is there, --dry-run what goes")
    now_s = time.time()
    selection = Selection(
        reasons,
        tuple(_names(destinations)),
        functions,
        request_ids,
        moment_ms(since, "--since", now_s) if since else None,
        moment_ms(until, "--until", now_s) if until else None,
    )
    place = open_place(location or _own_location(environ), environ)
    targets = _targets(environ, to, only_list, as_json)
    sends = not only_list and not dry_run
    path = state_file or default_state_path(place.name, environ)
    with Confirmations(path, place.name, is_kept=sends) as confirmed:
        if again:
            confirmed.forget()
        return _carry_out(place, selection, targets, confirmed, sends, as_json)


def _own_location(environ: Mapping[str, str]) -> str:
    from tailrace.destinations.dead_letter import dead_letters_in_force
    from tailrace.errors import UsageError
    from tailrace.replay.targets import read_settings

    settings = read_settings(environ)
    found = dead_letters_in_force(settings, environ).url or settings.dead_letter
    if not found:
        raise UsageError("LOCATION", f"it is missing, and {VARIABLE} is not set", "name a folder or s3://BUCKET/PREFIX")
    return found


def _names(destinations: tuple[str, ...]) -> list[str]:
    """Destinations as envelopes name them: without secrets. What is no URL may be such a name already."""
    from tailrace.errors import UsageError
    from tailrace.replay.places import read_spec

    names = list(destinations)
    for text in destinations:
        try:
            names.append(read_spec(text, "--destination").name)
        except UsageError:
            continue
    return names


def _targets(environ: Mapping[str, str], to: str | None, only_list: bool, as_json: bool) -> Targets | None:
    from tailrace.clock import SystemClock
    from tailrace.errors import UsageError
    from tailrace.replay.targets import Targets

    if only_list and to is None and not Targets.are_named(environ):
        return None
    if as_json and to is not None and to.strip().startswith("stdout:"):
        raise UsageError("--json", "records on standard output would stand among the document", "leave one of them out")
    return Targets(environ, SystemClock(), to)


def _carry_out(
    place: Place,
    selection: Selection,
    targets: Targets | None,
    confirmed: Confirmations,
    sends: bool,
    as_json: bool,
) -> int:
    import random
    import time

    from tailrace.cli.errors import say_error
    from tailrace.cli.replay_report import document, show
    from tailrace.clock import SystemClock
    from tailrace.replay.courier import Courier
    from tailrace.replay.replay import Replay

    handled: list[Handled] = []
    is_interrupted = False
    courier = Courier(confirmed, SystemClock(), time.sleep, random.random)
    progress = _Progress(sends)
    replay = Replay(place, selection, targets, courier, sends, progress.file_read)
    try:
        _go_through(place, replay, progress, handled.append)
    except KeyboardInterrupt:
        is_interrupted = True
    finally:
        progress.stop()
        if targets is not None:
            targets.close()
    if as_json:
        click.echo(document(place.name, confirmed.path, handled, replay.figures, sends, is_interrupted))
    else:
        show(handled, replay.figures, sends, has_targets=targets is not None)
    if is_interrupted:
        return say_error("interrupted; what was confirmed is noted, the same command goes on from there", exit_code=130)
    return 0 if replay.figures.is_complete else 1


def _go_through(place: Place, replay: Replay, progress: _Progress, take: Callable[[Handled], object]) -> None:
    files = list(place.files())
    progress.begin(files)
    for one in replay.run(files):
        # records of large batches need not be kept for a line of a table
        take(one.without_records())
        progress.envelope_done()


class _Progress:
    """A bar on standard error where a person looks, by the bytes of the files."""

    def __init__(self, sends: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        from tailrace.cli.screen import new_console

        console = new_console(stderr=True)
        self._word = "sent" if sends else "read"
        self._count = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("looking for dead letters", total=None)
        self._progress.start()

    def begin(self, files: list[StoredFile]) -> None:
        self._progress.update(self._task, total=sum(file.n_bytes for file in files))

    def file_read(self, file: StoredFile) -> None:
        self._progress.advance(self._task, file.n_bytes)

    def envelope_done(self) -> None:
        self._count += 1
        self._progress.update(self._task, description=f"{self._count} envelopes {self._word}")

    def stop(self) -> None:
        self._progress.stop()
