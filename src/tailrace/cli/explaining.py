"""Events through the agent's own code, up to the wire and not onto it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tailrace.agent.assembly import draw, ledger_export, resource_of
from tailrace.agent.delivering import build_fanout
from tailrace.agent.diagnostics import Diagnostics
from tailrace.agent.routing import masker_of
from tailrace.cli.agent_view import AgentView
from tailrace.model.record import Record
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.intake import Intake
from tailrace.pipeline.interfaces import Destination, Request
from tailrace.pipeline.ledger import UNPARSABLE, Ledger
from tailrace.pipeline.messages import Reply
from tailrace.pipeline.progress import Progress
from tailrace.pipeline.surroundings import Surroundings
from tailrace.processors.attribute import Attributor
from tailrace.processors.mask import Masker
from tailrace.processors.own_lines import is_own_line
from tailrace.processors.severity import severity_of
from tailrace.processors.worker import CATEGORIES, Worker
from tailrace.protocol.events import Event, split_events

if TYPE_CHECKING:
    from tailrace.clock import Clock

ENVIRONMENT_ID = "0" * 16
SENT = "sent"
_LIMIT_S = 60.0


@dataclass
class EventStory:
    """What became of one event: `outcomes` by destination are ``sent``, ``filtered: WHY`` or ``dropped: WHY``."""

    seq: int
    type: str
    request_id: str | None
    severity: str | None
    masked: dict[str, int]
    outcomes: dict[str, str]


@dataclass
class Explanation:
    """What `events` came to; `requests` by destination, in order; `ledger` as the agent would write it, and the
    lines that it would have `said` before. `damaged_lines` (from 1) are those of NDJSON that are no JSON."""

    events: list[EventStory] = field(default_factory=list)
    requests: dict[str, list[Request]] = field(default_factory=dict)
    ledger: dict[str, object] = field(default_factory=dict)
    unparsable_bytes: int = 0
    damaged_lines: list[int] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)


class _Watched(Attributor):
    """Keeps the record that it saw last."""

    __slots__ = ("seen",)

    def __init__(self, initialization: str) -> None:
        super().__init__(initialization=initialization)
        self.seen = Record(0, "", "", None, None)

    def stamp(self, record: Record) -> None:
        super().stamp(record)
        self.seen = record


class _Wire:
    """Takes requests and answers that all is well. Nothing leaves."""

    def __init__(self, requests: list[Request]) -> None:
        self._requests = requests

    def send(self, request: Request, timeout_s: float, on_written: Callable[[], None] | None = None) -> Reply:
        self._requests.append(request)
        return Reply(200)

    def close(self) -> None:
        pass


class Explainer:
    """One agent without a network. `explain` may be called once."""

    def __init__(self, view: AgentView, clock: Clock) -> None:
        view.settings.dead_letters = []  # nothing is undeliverable here
        self._view = view
        self._clock = clock
        self._result = Explanation()
        self._ledger = Ledger()
        say = Diagnostics(self._result.said.append, clock)
        resource = resource_of(b"{}", view.environ)
        resource.environment_id = ENVIRONMENT_ID
        self._fanout: Fanout = build_fanout(
            view.environ, view.settings, self._ledger, Surroundings(resource, clock, draw, say), transport=self._wire
        )
        self._masker = masker_of(view.settings, say)
        self._attributor = _Watched(view.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", ""))
        self._export = ledger_export(view.settings.ledger, self._ledger, self._fanout, resource, clock, _nowhere)
        progress = Progress(clock)
        intake = Intake(self._ledger, progress, clock)
        self._worker = Worker(
            intake,
            self._fanout,
            self._ledger,
            self._attributor,
            progress,
            view.settings.all_types,
            say,
            None,
            self._masker,
        )

    def explain(self, body: bytes) -> Explanation:
        """`body` is a JSON array of telemetry events, or one JSON value after the other."""
        result = self._result
        for event in self._events(body):
            result.events.append(self._one(event.raw))
        self._fanout.request_flush()
        self._fanout.start(_spawn)
        if self._export is not None:
            self._fanout.wait_drained(self._clock.monotonic_s() + _LIMIT_S)
            self._export.offer_record()  # as at the end of the agent's process
        self._fanout.close(self._clock.monotonic_s() + _LIMIT_S)
        result.ledger = self._ledger.line_object()
        return result

    def _events(self, body: bytes) -> Iterator[Event]:
        """The events of `body`. From the first damage on, what is no array is read line by line: a damaged line costs
        itself."""
        split = split_events(body)
        yield from split.events
        if not split.unparsable_bytes:
            return
        if body.lstrip()[:1] == b"[":
            self._lose(split.unparsable_bytes)
            return
        begin = len(body) - split.unparsable_bytes
        begin += len(body[begin:]) - len(body[begin:].lstrip())
        first = body.count(b"\n", 0, begin) + 1
        for number, line in enumerate(body[begin:].split(b"\n"), first):
            of_line = split_events(line)
            yield from of_line.events
            if of_line.unparsable_bytes:
                self._result.damaged_lines.append(number)
                self._lose(of_line.unparsable_bytes)

    def _lose(self, n_bytes: int) -> None:
        self._result.unparsable_bytes += n_bytes
        self._fanout.drop(1, UNPARSABLE)

    def _one(self, raw: str) -> EventStory:
        before = self._ledger.snapshot()
        masked = _counts(self._masker)
        # as if there were room for all: what waits for whom, and how long, is not what is explained
        self._worker.process(b"[" + raw.encode("utf-8", "replace") + b"]", self._fanout.exporters)
        record = self._attributor.seen
        after = self._ledger.snapshot()
        outcomes = {}
        for name, row in after.items():
            was = before.get(name)
            if was is not None and row.received == was.received:
                continue  # a row of something else than records
            dropped = [why for why, n in row.dropped.items() if was is None or n > was.dropped.get(why, 0)]
            if dropped:
                outcomes[name] = f"dropped: {dropped[0]}"
            elif was is None or row.filtered > was.filtered:
                outcomes[name] = f"filtered: {self._why(name, record)}"
            else:
                outcomes[name] = SENT
        return EventStory(
            record.seq,
            record.type,
            record.request_id,
            severity_of(record.event),
            _difference(_counts(self._masker), masked),
            outcomes,
        )

    def _why(self, name: str, record: Record) -> str:
        """Why a destination did not get a record that came as far as to be filtered."""
        category = record.type.partition(".")[0]
        if category in CATEGORIES and category not in self._view.settings.all_types:
            return "types"
        if is_own_line(record):
            return "the agent's own line"
        names = [exporter.name for exporter in self._fanout.exporters]
        wanted = self._view.filters[names.index(name)] if name in names else None
        reason = wanted.reason(record) if wanted is not None else None
        return reason or "it stands in for another destination, which is up"

    def _wire(self, destination: Destination) -> _Wire:
        return _Wire(self._result.requests.setdefault(destination.name, []))


def _nowhere(line: bytes) -> None:
    """Metrics on standard output are no request."""


def _spawn(run: Callable[[], None]) -> None:
    threading.Thread(target=run, daemon=True).start()


def _counts(masker: Masker | None) -> dict[str, int]:
    return dict(masker.counts) if masker is not None else {}


def _difference(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: n - before.get(name, 0) for name, n in after.items() if n > before.get(name, 0)}
