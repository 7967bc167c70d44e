"""Stand-ins for what surrounds the pipeline: a destination, the network, the user's ear."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from tailrace.clock import ManualClock
from tailrace.errors import TransportError
from tailrace.model.batch import Batch
from tailrace.model.record import Record
from tailrace.model.resource import Resource
from tailrace.pipeline.interfaces import Request
from tailrace.pipeline.ledger import Ledger, RowSnapshot
from tailrace.pipeline.messages import (
    AUTHENTICATION,
    DELIVERED,
    POISONED,
    REJECTED,
    RETRY,
    SPLIT,
    HttpRequest,
    Outcome,
    Reply,
)
from tailrace.pipeline.sealed import Sealed
from tailrace.pipeline.sending.exporter import Exporter
from tailrace.pipeline.sending.settings import SenderSettings
from tailrace.pipeline.surroundings import Surroundings

if TYPE_CHECKING:
    from tailrace.clock import Clock

RESOURCE = Resource("billing", "env-1")
LIMIT_S = 20.0


class FakeLimits:
    def __init__(
        self,
        max_records: int = 1000,
        max_bytes: int = 1_000_000,
        by_hour: bool = False,
        max_age_s: float = 10.0,
    ) -> None:
        self.max_age_s = max_age_s
        self.max_records = max_records
        self.max_bytes = max_bytes
        self.by_hour = by_hour


class FakeDestination:
    """Sends its records, one a line, to a host that does not exist; what a status means is the usual."""

    meaning: ClassVar = {200: DELIVERED, 503: RETRY, 413: SPLIT, 400: REJECTED, 422: POISONED, 401: AUTHENTICATION}

    def __init__(self, name: str = "fake://one", idempotent: bool = True, limits: FakeLimits | None = None) -> None:
        self.name = name
        self.idempotent = idempotent
        self.limits = limits or FakeLimits()
        self.build_error: Exception | None = None

    def encode_record(self, record: Record, resource: Resource) -> bytes:
        return (record.raw or "null").encode()

    def truncate_record(self, data: bytes, max_bytes: int) -> bytes | None:
        """Only what begins with an x can be cut: it ends in an exclamation mark then."""
        return data[: max_bytes - 1] + b"!" if data.startswith(b"x") else None

    def build_request(self, batch: Batch, resource: Resource, wall_s: float) -> Request:
        if self.build_error is not None:
            raise self.build_error
        target = f"/{batch.first_seq}-{batch.last_seq}"
        return HttpRequest("PUT", False, "fake", 80, target, [], b"\n".join(batch.parts))

    def classify(self, reply: Reply) -> Outcome:
        return Outcome(self.meaning[reply.status], f"status {reply.status}")

    def health_request(self, wall_s: float) -> Request | None:
        return None


class FakeTransport:
    """Answers with what `script` says, then with 200; keeps what was sent. `gate` holds sends back while cleared."""

    def __init__(self, script: list[int | TransportError] | None = None) -> None:
        self.script = script or []
        self.sent: list[HttpRequest] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.always: TransportError | None = None
        self.writes = True  # whether it says that the request is on the wire before it answers
        self.closed = False

    def send(self, request: Request, timeout_s: float, on_written: Callable[[], None] | None = None) -> Reply:
        assert isinstance(request, HttpRequest)
        assert timeout_s > 0
        if on_written is not None and self.writes:
            on_written()
        self.entered.set()
        assert self.gate.wait(LIMIT_S)
        answer: int | TransportError = self.script.pop(0) if self.script else 200
        if self.always is not None:
            answer = self.always
        self.sent.append(request)
        if isinstance(answer, TransportError):
            raise answer
        return Reply(answer)

    def close(self) -> None:
        self.closed = True

    @property
    def lines(self) -> list[bytes]:
        return [line for request in self.sent for line in request.body.split(b"\n")]


class Told:
    """Keeps what the user is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def __call__(self, level: str, message: str, **fields: object) -> None:
        self.lines.append((level, message, fields))


def seqs_of(sealed: Sealed) -> list[int]:
    """The sequence number of every record."""
    return [seq for seq, _, _ in sealed.rows()]


def record(seq: int, raw: str = "", time: str = "2026-11-20T21:00:00.000Z") -> Record:
    return Record(seq, time, "function", None, raw or f'"line {seq}"')


class Rig:
    """An exporter with everything around it."""

    def __init__(
        self,
        destination: FakeDestination | None = None,
        transport: FakeTransport | None = None,
        ledger: Ledger | None = None,
        clock: Clock | None = None,
        settings: SenderSettings | None = None,
        draw: Callable[[], float] = lambda: 0.0,
        express: Callable[[], FakeTransport] | None = None,
        kind: type[Exporter] = Exporter,
    ) -> None:
        self.destination = destination or FakeDestination()
        self.transport = transport or FakeTransport()
        self.ledger = ledger or Ledger()
        self.clock = clock or ManualClock()
        self.told = Told()
        self.row = self.ledger.open_row(self.destination.name)
        self.surroundings = Surroundings(RESOURCE, self.clock, draw, self.told)
        self.exporter = kind(self.destination, self.transport, self.row, self.surroundings, settings, express)

    def offer(self, first: int, last: int) -> None:
        for seq in range(first, last + 1):
            self.exporter.offer([record(seq)])

    @property
    def soon(self) -> float:
        """A deadline beyond the patience of any test."""
        return self.clock.monotonic_s() + LIMIT_S

    def counts(self) -> RowSnapshot:
        """The row, after checking that its sum holds."""
        counts = self.row.snapshot()
        assert counts.received == counts.accounted
        return counts

    @contextmanager
    def running(self) -> Iterator[None]:
        """The sender thread runs inside; it is closed at the end if the test did not."""
        thread = threading.Thread(target=self.exporter.run)
        thread.start()
        try:
            yield
        finally:
            self.transport.gate.set()
            self.exporter.begin_close(self.clock.monotonic_s())
            self.exporter.finish_close(self.clock.monotonic_s())
            thread.join(LIMIT_S)
            assert not thread.is_alive()
            assert self.transport.closed
            assert self.counts().held == 0
