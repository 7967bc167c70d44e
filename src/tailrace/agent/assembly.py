"""Building the agent from its settings: the one place that knows every part. Runs on the second thread."""

from __future__ import annotations

import gc
import posix
import sys

from tailrace.agent.app import App
from tailrace.agent.dead_lettering import open_dead_letters
from tailrace.agent.diagnostics import Diagnostics
from tailrace.agent.lifecycle import Lifecycle
from tailrace.agent.output import LineOutput
from tailrace.agent.routing import masker_of, queue_limits, routes_of
from tailrace.agent.spooling import open_spooling
from tailrace.agent.threads import Threads
from tailrace.clock import SystemClock
from tailrace.config.places import read_config
from tailrace.config.settings import load_settings
from tailrace.destinations.registry import build_destinations
from tailrace.model.resource import Resource
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.flush import FlushSettings, flush_policy
from tailrace.pipeline.intake import Intake
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.progress import Progress
from tailrace.pipeline.sending.exporter import Exporter
from tailrace.pipeline.sending.settings import SenderSettings
from tailrace.pipeline.wire.local_transport import write_standard_output
from tailrace.pipeline.wire.transport import CompositeTransport
from tailrace.processors.attribute import Attributor
from tailrace.processors.worker import Worker
from tailrace.protocol.jsontext import loads
from tailrace.receivers.telemetry import TelemetryListener

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Mapping

    from tailrace.agent.ledger_export import LedgerExport
    from tailrace.agent.spooling import Spooling
    from tailrace.clock import Clock
    from tailrace.config.settings import Settings
    from tailrace.destinations.registry import Built
    from tailrace.pipeline.interfaces import Destination, Transport

SNAP_START = "snap-start"
# How long a thread computes before it lets another run (the default is 5 ms). While the worker decodes, the listener
# has an answer to give and the senders a request to write: both are short, and somebody waits for them.
TURN_S = 0.001
# After how many new objects it is looked for circles among them (the default is 700). A telemetry post makes some
# thousands, none of them in a circle.
LOOK_FOR_CIRCLES_AFTER = 20_000
# Said by the fast start already, which is who has to listen.
SAID_AT_START = ("TAILRACE_LISTEN_HOST",)


def build_app(register_reply: bytes, telemetry: bool, listener: _socket.socket | None) -> App:
    """The agent as the process's environment wants it, with its threads running. `register_reply` is the body of the
    answer to register, `telemetry` says whether the platform will send any, to `listener`."""
    sys.setswitchinterval(TURN_S)
    gc.set_threshold(LOOK_FOR_CIRCLES_AFTER)
    environ = {_text(name): _text(value) for name, value in posix.environ.items()}
    clock = SystemClock()
    output = LineOutput(write_standard_output, clock)
    diagnostics = Diagnostics(output.put, clock, output.put_last)
    threads = Threads(diagnostics)
    settings = load_settings(environ, read_config(environ))
    for problem in settings.problems:
        if problem.setting not in SAID_AT_START:
            diagnostics("warn", str(problem))
    resource = resource_of(register_reply, environ)
    ledger = Ledger()
    spooling = open_spooling(environ, settings, resource, ledger, clock, diagnostics)
    fanout = build_fanout(environ, settings, resource, ledger, clock, diagnostics, spooling)
    spooling.go_on(ledger, fanout.exporters)
    progress = Progress(clock)
    intake = Intake(
        ledger, progress, clock, account=spooling.account, make_room=fanout.make_room, diagnostics=diagnostics
    )
    initialization = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "")
    attributor = Attributor(initialization=initialization)
    masker = masker_of(settings, diagnostics)
    worker = Worker(
        intake, fanout, ledger, attributor, progress, settings.all_types, diagnostics, spooling.account, masker
    )
    fanout.start(threads.keep_running)
    threads.keep_running(worker.run)
    export = ledger_export(settings.ledger, ledger, fanout, resource, clock, output.put)
    return App(
        lifecycle=Lifecycle(flush_policy(settings.flush.policy, flush_settings(settings)), telemetry),
        listener=TelemetryListener(listener, intake, threads.spawn) if listener is not None else None,
        intake=intake,
        fanout=fanout,
        progress=progress,
        ledger=ledger,
        clock=clock,
        diagnostics=diagnostics,
        thawed=(lambda: _renew(resource, fanout)) if initialization == SNAP_START else None,
        account=spooling.account,
        export=export,
    )


def ledger_export(
    words: tuple[str, ...],
    ledger: Ledger,
    fanout: Fanout,
    resource: Resource,
    clock: Clock,
    write: Callable[[bytes], None],
) -> LedgerExport | None:
    """What tells the ledger in the forms that are asked for; its code loads only then."""
    if not words:
        return None
    from tailrace.agent.ledger_export import LedgerExport

    return LedgerExport(words, ledger, fanout, resource, clock, write)


def build_fanout(
    environ: Mapping[str, str],
    settings: Settings,
    resource: Resource,
    ledger: Ledger,
    clock: Clock,
    diagnostics: Diagnostics,
    spooling: Spooling | None = None,
    transport: Callable[[Destination], Transport] | None = None,
) -> Fanout:
    """Every destination that can be built, each with its queue and transport. The others are said once, and count
    what they miss in rows named for the setting that is wrong. `transport` replaces the network."""
    built = build_destinations(environ, settings)
    for warning in built.warnings:
        diagnostics("warn", warning)
    for problem in built.problems:
        diagnostics("error", f"{problem}; nothing is delivered there")
    for fault in built.faults:
        diagnostics("warn", str(fault))
    if not built.destinations and not built.problems:
        diagnostics(
            "warn",
            "no destination is configured: set TAILRACE_DESTINATIONS or S3_BUCKET_NAME; every record is dropped",
        )
    note = spooling.account.note if spooling is not None and spooling.account is not None else None
    rows = [(destination, ledger.open_row(destination.name)) for destination in built.destinations]
    dead_letters = None
    if transport is None:
        dead_letters = open_dead_letters(environ, settings, resource, clock, draw, diagnostics, note)
    exporters = [
        Exporter(
            destination,
            CompositeTransport(clock, environ) if transport is None else transport(destination),
            row,
            resource,
            clock,
            draw,
            diagnostics,
            sender_settings(settings, limit),
            (lambda: CompositeTransport(clock, environ)) if transport is None else None,
            spooling.shelf(row) if spooling is not None else None,
            note,
            dead_letters.of(row, destination.name, _n_alike(destination, built)) if dead_letters is not None else None,
        )
        for (destination, row), limit in zip(rows, queue_limits(built.specs, settings), strict=True)
    ]
    unusable = [ledger.open_row(problem.setting) for problem in built.problems]
    routes = routes_of(built.specs, settings, diagnostics)
    return Fanout(exporters, ledger, clock, unusable, dead_letters=dead_letters, routes=routes)


def _n_alike(destination: Destination, built: Built) -> int:
    """How many destinations have its URL but for their secrets."""
    from tailrace.pipeline.dead_letters.envelope import count_alike

    return count_alike(destination.name, [one.name for one in built.destinations])


def flush_settings(settings: Settings) -> FlushSettings:
    return FlushSettings(
        end_wait_ms=settings.end_wait_ms,
        settle_ms=settings.settle_ms,
        margin_ms=settings.margin_ms,
        write_timeout_ms=settings.write_timeout_ms,
        reply_wait_ms=settings.reply_wait_ms,
        steady_ms=settings.steady_ms,
        steady_after=settings.steady_after,
        **({} if settings.flush.interval_ms is None else {"interval_ms": settings.flush.interval_ms}),
    )


def sender_settings(settings: Settings, queue_max_bytes: int) -> SenderSettings:
    return SenderSettings(
        queue_max_bytes=queue_max_bytes,
        batch_max_age_s=batch_max_age_s(settings),
        wait_cap_s=settings.end_wait_ms / 1000,
    )


def batch_max_age_s(settings: Settings) -> float | None:
    """How long lines may be collected, where the flush strategy says so; else it is each destination's own measure."""
    interval_ms = settings.flush.interval_ms
    return None if interval_ms is None else interval_ms / 1000


def resource_of(register_reply: bytes, environ: Mapping[str, str]) -> Resource:
    """Who we are: what the platform said at register (lambda-platform.md 2.2), else what the environment says."""
    try:
        said = loads(register_reply.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        said = None
    members = said if isinstance(said, dict) else {}

    def member(name: str, variable: str) -> str:
        value = members.get(name)
        return value if isinstance(value, str) and value else environ.get(variable, "")

    memory = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    return Resource(
        function_name=member("functionName", "AWS_LAMBDA_FUNCTION_NAME"),
        environment_id=new_environment_id(),
        function_version=member("functionVersion", "AWS_LAMBDA_FUNCTION_VERSION") or "$LATEST",
        region=environ.get("AWS_REGION", "") or environ.get("AWS_DEFAULT_REGION", ""),
        account_id=member("accountId", ""),
        memory_mb=int(memory) if memory.isascii() and memory.isdigit() else 0,
    )


def new_environment_id() -> str:
    """16 hexadecimal digits that no other environment has."""
    return posix.urandom(8).hex()


def draw() -> float:
    """A random number from 0 up to 1, without the `random` module: after a restore that one repeats itself."""
    return int.from_bytes(posix.urandom(6), "big") / (1 << 48)


def _renew(resource: Resource, fanout: Fanout) -> None:
    """A snapshot's copies begin as one process: each takes a name of its own (lambda-platform.md 4.9), and none has a
    connection that is still there."""
    resource.environment_id = new_environment_id()
    fanout.thawed()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
