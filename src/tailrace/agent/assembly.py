"""Building the agent from its settings: the one place that knows every part. Runs on the second thread."""

from __future__ import annotations

import gc
import posix
import sys

from tailrace.agent.app import App, Pipeline
from tailrace.agent.delivering import build_fanout
from tailrace.agent.diagnostics import Diagnostics
from tailrace.agent.lifecycle import Lifecycle
from tailrace.agent.output import LineOutput
from tailrace.agent.spooling import open_spooling
from tailrace.agent.threads import Threads
from tailrace.clock import SystemClock
from tailrace.config.places import read_config
from tailrace.config.settings import load_settings
from tailrace.model.resource import Resource
from tailrace.pipeline.flush import FlushSettings, flush_policy
from tailrace.pipeline.intake import Intake
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.progress import Progress
from tailrace.pipeline.surroundings import Surroundings
from tailrace.pipeline.wire.local_transport import write_standard_output
from tailrace.processors.attribute import Attributor
from tailrace.processors.worker import Worker
from tailrace.protocol.jsontext import loads
from tailrace.receivers.telemetry import TelemetryListener

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Mapping

    from tailrace.agent.ledger_export import LedgerExport
    from tailrace.clock import Clock
    from tailrace.config.settings import Settings
    from tailrace.pipeline.fanout import Fanout
    from tailrace.pipeline.interfaces import Diagnostics as Say
    from tailrace.processors.mask import Masker

INITIALIZATION = "AWS_LAMBDA_INITIALIZATION_TYPE"
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
    settings = load_settings(environ, read_config(environ))
    for problem in settings.problems:
        if problem.setting not in SAID_AT_START:
            diagnostics("warn", str(problem))
    resource = resource_of(register_reply, environ)
    threads = Threads(diagnostics)
    pipeline = build_pipeline(environ, settings, Surroundings(resource, clock, draw, diagnostics), threads)
    fanout = pipeline.fanout
    is_copied = environ.get(INITIALIZATION) == SNAP_START
    return App(
        lifecycle=Lifecycle(flush_policy(settings.flush.policy, flush_settings(settings)), telemetry),
        listener=TelemetryListener(listener, pipeline.intake, threads.spawn) if listener is not None else None,
        pipeline=pipeline,
        clock=clock,
        diagnostics=diagnostics,
        thawed=(lambda: _renew(resource, fanout)) if is_copied else None,
        export=ledger_export(settings.ledger, pipeline.ledger, fanout, resource, clock, output.put),
    )


def build_pipeline(
    environ: Mapping[str, str], settings: Settings, surroundings: Surroundings, threads: Threads
) -> Pipeline:
    """From the intake to the destinations, with its threads running."""
    clock, diagnostics = surroundings.clock, surroundings.diagnostics
    ledger = Ledger()
    spooling = open_spooling(environ, settings, ledger, surroundings)
    account = spooling.account
    fanout = build_fanout(environ, settings, ledger, surroundings, spooling)
    spooling.go_on(ledger, fanout.exporters)
    progress = Progress(clock)
    intake = Intake(ledger, progress, clock, account=account, make_room=fanout.make_room, diagnostics=diagnostics)
    attributor = Attributor(initialization=environ.get(INITIALIZATION, ""))
    masker = _masker(settings, diagnostics)
    worker = Worker(intake, fanout, ledger, attributor, progress, settings.all_types, diagnostics, account, masker)
    fanout.start(threads.keep_running)
    threads.keep_running(worker.run)
    return Pipeline(intake, fanout, progress, ledger, account)


def _masker(settings: Settings, diagnostics: Say) -> Masker | None:
    """Its code loads only where anybody asks for masks."""
    if not settings.mask_specs and not settings.masks_unknown:
        return None
    from tailrace.agent.routing import masker_of

    return masker_of(settings, diagnostics)


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
