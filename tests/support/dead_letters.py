"""Letters, their files, and destinations that answer by a script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from tailrace.clock import ManualClock
from tailrace.errors import TransportError
from tailrace.model.batch import Batch
from tailrace.model.resource import Resource
from tailrace.pipeline.dead_letters.envelope import Letter, Tried, envelope_line
from tailrace.pipeline.interfaces import Request
from tailrace.pipeline.ledger import Ledger, LedgerRow
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
from tailrace.replay.courier import Courier
from tailrace.replay.patience import Patience
from tailrace.replay.state import Confirmations
from tailrace.replay.targets import Target

RESOURCE = Resource("shop", "env1", "7")
START = "2026-11-20T21:00:00.000Z"
WRITTEN_S = 1_795_210_200.0  # 2026-11-20T21:30:00Z
URL = "http://logs.example/in"


def lines(first: int, last: int, request_id: str = "r1") -> list[bytes]:
    return [f'{{"record":"é {seq}","requestId":"{request_id}","seq":{seq}}}'.encode() for seq in range(first, last + 1)]


def letter(
    first: int = 1,
    last: int = 3,
    reason: str = "rejected",
    error: str = "status 404",
    destination: str = URL,
    row: LedgerRow | None = None,
    request_id: str = "r1",
    written_s: float = WRITTEN_S,
) -> Letter:
    batch = Batch(lines(first, last, request_id), first, last, START)
    own = row or Ledger().open_row(destination)
    tried = Tried(2, WRITTEN_S - 9, WRITTEN_S - 1)
    return Letter(own, destination, batch, "env1", reason, error, written_s, tried)


def write_letters(path: Path, *letters: Letter, resource: Resource = RESOURCE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(envelope_line(one, resource) + b"\n" for one in letters))
    return path


class _Answer(Reply):
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(200)
        self.outcome = outcome


class ScriptedEnd:
    """A destination and the way to it: `answer` gets each batch and says what becomes of it."""

    idempotent = False
    limits: ClassVar = None
    kinds: ClassVar = {200: DELIVERED, 503: RETRY, 413: SPLIT, 404: REJECTED, 400: POISONED, 401: AUTHENTICATION}

    def __init__(self, answer: Callable[[list[bytes]], int | Outcome | TransportError] = lambda parts: 200) -> None:
        self.answer = answer
        self.name = URL
        self.requests: list[tuple[Batch, Resource]] = []
        self.taken: list[bytes] = []

    @property
    def target(self) -> Target:
        return Target(self.name, self, self)  # type: ignore[arg-type]  # the two halves that replay needs of each

    def build_request(self, batch: Batch, resource: Resource, wall_s: float) -> Request:
        self.requests.append((batch, resource))
        return HttpRequest("POST", False, "fake", 80, "/", [], b"\n".join(batch.parts))

    def send(self, request: HttpRequest, timeout_s: float, on_written: Callable[[], None] | None = None) -> Reply:
        parts = request.body.split(b"\n")
        answer = self.answer(parts)
        if isinstance(answer, TransportError):
            raise answer
        outcome = answer if isinstance(answer, Outcome) else Outcome(self.kinds[answer], f"status {answer}")
        if outcome.kind == DELIVERED:
            self.taken += parts
        return _Answer(outcome)

    def classify(self, reply: Reply) -> Outcome:
        assert isinstance(reply, _Answer)
        return reply.outcome

    def close(self) -> None:
        """Nothing is open."""


def courier_with(confirmed: Confirmations, pauses: list[float] | None = None, told: list[str] | None = None) -> Courier:
    return Courier(confirmed, ManualClock(), patience_with(pauses, told))


def patience_with(pauses: list[float] | None = None, told: list[str] | None = None) -> Patience:
    """Waits for nothing, and notes what it would have waited and said."""
    return Patience(
        (pauses if pauses is not None else []).append, lambda: 0.5, (told if told is not None else []).append
    )
