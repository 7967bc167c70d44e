"""`tailrace replay`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tailrace.cli.replay_progress import Progress
    from tailrace.cli.replay_report import Report
    from tailrace.replay.places import Place
    from tailrace.replay.replay import Handled, Replay
    from tailrace.replay.selection import Selection
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
@click.option(
    "--reason", "reasons", multiple=True, metavar="TEXT", help="Only with this reason, or with this in its error."
)
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
    environment, in the agent's own variables, or from the file that TAILRACE_CONFIG_FILE names, else
    ./tailrace.toml. What a destination has confirmed is noted and not sent again: after an
    interruption the same command goes on. Exit code 0 when nothing that was asked for is left, 1 otherwise.
    """
    import os

    from tailrace.cli.replay_progress import Progress
    from tailrace.cli.replay_report import Report
    from tailrace.clock import SystemClock
    from tailrace.errors import UsageError
    from tailrace.replay.courier import Courier
    from tailrace.replay.patience import Patience
    from tailrace.replay.places import open_place
    from tailrace.replay.replay import Replay
    from tailrace.replay.state import Confirmations, default_state_path

    environ = dict(os.environ)
    if only_list and dry_run:
        raise UsageError("--list", "it cannot stand with --dry-run", "--list shows what is there, --dry-run what goes")
    selection = _selection(reasons, destinations, functions, request_ids, (since, until))
    sends = not only_list and not dry_run
    progress = Progress(sends)
    patience = Patience(tell=progress.tell)
    place = open_place(location or _own_location(environ), environ, patience)
    targets = _targets(environ, to, only_list, as_json)
    path = state_file or default_state_path(place.name, environ)
    with Confirmations(path, place.name, is_kept=sends) as confirmed:
        if again:
            confirmed.forget()
        courier = Courier(confirmed, SystemClock(), patience)
        replay = Replay(place, selection, targets, courier, sends, progress.advance)
        report = Report(place.name, confirmed.path, sends, targets, as_json, again)
        return _carry_out(place, replay, progress, targets, report)


def _selection(
    reasons: tuple[str, ...],
    destinations: tuple[str, ...],
    functions: tuple[str, ...],
    request_ids: tuple[str, ...],
    times: tuple[str | None, str | None],
) -> Selection:
    import time

    from tailrace.replay.selection import Selection, moment_ms

    now_s = time.time()
    since, until = times
    return Selection(
        reasons,
        tuple(_names(destinations)),
        functions,
        request_ids,
        moment_ms(since, "--since", now_s) if since else None,
        moment_ms(until, "--until", now_s) if until else None,
    )


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
    targets = Targets(environ, SystemClock(), to)
    if as_json and not only_list and targets.write_standard_output:
        targets.close()
        raise UsageError("--json", "records on standard output would stand among the document", "leave one of them out")
    return targets


def _carry_out(place: Place, replay: Replay, progress: Progress, targets: Targets | None, report: Report) -> int:
    from tailrace.cli.errors import say_error

    handled: list[Handled] = []
    is_interrupted = False
    try:
        with progress:
            _go_through(place, replay, progress, handled.append)
    except KeyboardInterrupt:
        is_interrupted = True
    finally:
        if targets is not None:
            targets.close()
    report.show(handled, replay.figures, is_interrupted)
    if is_interrupted:
        return say_error(report.farewell, exit_code=130)
    return 0 if replay.figures.is_complete else 1


def _go_through(place: Place, replay: Replay, progress: Progress, take: Callable[[Handled], object]) -> None:
    files = list(place.files())
    progress.begin(replay.figures, sum(file.n_bytes for file in files))
    for one in replay.run(files):
        # records of large batches need not be kept for a line of a table
        take(one.without_records())
