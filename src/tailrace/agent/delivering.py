"""Building what brings records to their destinations, from the settings."""

from __future__ import annotations

from tailrace.destinations.registry import build_destinations
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.sending.exporter import Exporter
from tailrace.pipeline.sending.settings import SenderSettings
from tailrace.pipeline.wire.transport import CompositeTransport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tailrace.agent.spooling import Spooling
    from tailrace.config.destinations import DestinationSpec
    from tailrace.config.settings import Settings
    from tailrace.destinations.registry import Built
    from tailrace.pipeline.dead_letters.writer import DeadLetters
    from tailrace.pipeline.interfaces import Bury, Destination, Diagnostics, Transport
    from tailrace.pipeline.ledger import Ledger, LedgerRow
    from tailrace.pipeline.routing import Route
    from tailrace.pipeline.surroundings import Surroundings

NOTHING_CONFIGURED = (
    "no destination is configured: set TAILRACE_DESTINATIONS or S3_BUCKET_NAME; every record is dropped"
)


def build_fanout(
    environ: Mapping[str, str],
    settings: Settings,
    ledger: Ledger,
    surroundings: Surroundings,
    spooling: Spooling | None = None,
    transport: Callable[[Destination], Transport] | None = None,
) -> Fanout:
    """Every destination that can be built, each with its queue and transport. The others are said once, and count
    what they miss in rows named for the setting that is wrong. `transport` replaces the network."""
    built = build_destinations(environ, settings)
    _say_what_is_wrong(built, surroundings.diagnostics)

    def connect() -> Transport:
        return CompositeTransport(surroundings.clock, environ)

    note = spooling.account.note if spooling is not None and spooling.account is not None else None
    rows = [ledger.open_row(destination.name) for destination in built.destinations]
    letters = _dead_letters(environ, settings, surroundings, note) if transport is None else None
    exporters = [
        Exporter(
            destination,
            connect() if transport is None else transport(destination),
            row,
            surroundings,
            sender_settings(settings, spec),
            connect if transport is None else None,
            spooling.shelf(row) if spooling is not None else None,
            note,
            _bury(letters, row, destination, built) if letters is not None else None,
        )
        for destination, spec, row in zip(built.destinations, built.specs, rows, strict=True)
    ]
    unusable = [ledger.open_row(problem.setting) for problem in built.problems]
    routes = _routes(built, settings, surroundings.diagnostics)
    return Fanout(exporters, ledger, surroundings.clock, unusable, dead_letters=letters, routes=routes)


def _say_what_is_wrong(built: Built, diagnostics: Diagnostics) -> None:
    for warning in built.warnings:
        diagnostics("warn", warning)
    for problem in built.problems:
        diagnostics("error", f"{problem}; nothing is delivered there")
    for fault in built.faults:
        diagnostics("warn", str(fault))
    if not built.destinations and not built.problems:
        diagnostics("warn", NOTHING_CONFIGURED)


def _dead_letters(
    environ: Mapping[str, str], settings: Settings, surroundings: Surroundings, note: Callable[[], None] | None
) -> DeadLetters | None:
    """Its code loads only where a place for them is asked for."""
    if not settings.dead_letters:
        return None
    from tailrace.agent.dead_lettering import open_dead_letters

    return open_dead_letters(environ, settings, surroundings, note)


def _bury(letters: DeadLetters, row: LedgerRow, destination: Destination, built: Built) -> Bury:
    """What the destination's sender does with what it cannot deliver. Envelopes say how many have its URL but for their
    secrets."""
    from tailrace.pipeline.dead_letters.envelope import count_alike

    n_alike = count_alike(destination.name, [one.name for one in built.destinations])
    return letters.of(row, destination.name, n_alike)


def _routes(built: Built, settings: Settings, diagnostics: Diagnostics) -> list[Route]:
    """Its code loads only where a destination may not take everything: where a file describes it."""
    if not settings.destination_tables:
        return []
    from tailrace.agent.routing import routes_of

    return routes_of(built.specs, settings, diagnostics)


def sender_settings(settings: Settings, spec: DestinationSpec) -> SenderSettings:
    """The bounds for one destination, which may have one of its own for what waits. How long lines may be collected is
    its own measure, unless the flush strategy says so."""
    own_max_bytes = spec.table.queue_max_bytes if spec.table is not None else None
    interval_ms = settings.flush.interval_ms
    return SenderSettings(
        queue_max_bytes=settings.queue_max_bytes if own_max_bytes is None else own_max_bytes,
        batch_max_age_s=None if interval_ms is None else interval_ms / 1000,
        wait_cap_s=settings.end_wait_ms / 1000,
    )
