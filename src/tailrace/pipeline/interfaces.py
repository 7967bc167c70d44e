"""The Protocols that hold the pipeline together. Only type checkers read this module: never import it at run time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tailrace.model.batch import Batch
from tailrace.model.record import Record
from tailrace.model.resource import Resource
from tailrace.pipeline.messages import FileRequest, HttpRequest, Outcome, Reply, StreamRequest
from tailrace.pipeline.sealed import Sealed

Request = HttpRequest | FileRequest | StreamRequest
# Takes batches that a destination does not get, the reason in one word, and what was said last; books them.
Bury = Callable[[Sequence[Sealed], str, str], None]


class Limits(Protocol):
    """What one request may carry."""

    @property
    def max_records(self) -> int: ...
    @property
    def max_bytes(self) -> int:
        """Encoded and uncompressed, separators included."""

    @property
    def max_age_s(self) -> float:
        """How old the first record of a batch may become before it leaves, full or not: it is lost if the sandbox
        is, and each request has its price."""

    @property
    def by_hour(self) -> bool:
        """True where all records of a batch must be of one hour (partitioned stores)."""


class Destination(Protocol):
    """Five small pure pieces; queueing, retry, compression's timing, accounting and the network are the pipeline's.

    `name` is the URL without secrets, the key of its row in the ledger. `idempotent` is true where sending
    the same batch twice leaves one copy.
    """

    @property
    def name(self) -> str: ...
    @property
    def idempotent(self) -> bool: ...
    @property
    def limits(self) -> Limits: ...
    def encode_record(self, record: Record, resource: Resource) -> bytes:
        """One record as it will stand in a body, without separator. Never raises."""

    def truncate_record(self, data: bytes, max_bytes: int) -> bytes | None:
        """An encoded record cut to `max_bytes` and marked as cut, or None where that cannot be done."""

    def build_request(self, batch: Batch, resource: Resource, wall_s: float) -> Request:
        """The request that carries `batch`. The same batch gives the same identity (key, path, idempotency key)
        at any time; only signatures and dates may differ. Raises `ConfigError` where it cannot be built as things are
        (for example: no credentials), `ConnectError` where that may be over in a moment (who gives them is down)."""

    def classify(self, reply: Reply) -> Outcome:
        """What the reply means. Where it is not whole (see `Reply`) the status alone may say enough; who needs the body
        raises `NoReplyError`, for then it is not known what became of the batch."""

    def health_request(self, wall_s: float) -> Request | None:
        """A cheap request that tells whether the destination is there, or None where there is none."""


class Transport(Protocol):
    """Carries requests. One of them belongs to one sender thread."""

    def send(self, request: Request, timeout_s: float, on_written: Callable[[], None] | None = None) -> Reply:
        """`on_written` is called once everything is handed to the kernel, if the reply is still to come then. Raises
        `ConnectError` when nothing was sent, `NoReplyError` when the outcome is unknown."""

    def close(self) -> None: ...


class FlushPolicy(Protocol):
    """When the agent waits for deliveries. Moments are monotonic seconds, answers are seconds from `now_s`."""

    @property
    def name(self) -> str: ...
    @property
    def cap_s(self) -> float:
        """The longest wait for replies; a shorter one says nothing about a destination."""

    @property
    def waits_for_replies(self) -> bool:
        """Whether a flush waits for replies in full, or only at a glance."""

    def begin(self, now_s: float, any_up: bool, is_warm: bool) -> str:
        """What the invocation that begins now gets: one of the words of `pipeline.flush`."""

    def hurry_from_s(self, now_s: float, deadline_s: float) -> float:
        """The moment from which on lines leave as they come."""

    def write_wait_s(self, now_s: float, deadline_s: float, any_up: bool) -> float:
        """How long to wait until everything is on the wire."""

    def glance_s(self) -> float:
        """How long to wait for replies that are not waited for in full."""

    def done_wait_s(self, now_s: float, deadline_s: float) -> float:
        """How long to wait for platform.runtimeDone."""

    def settle_s(self, now_s: float, deadline_s: float) -> float:
        """How long telemetry must have been silent before the flush."""

    def reply_wait_s(self, now_s: float, deadline_s: float, any_up: bool) -> float:
        """How long to wait for replies after the flush."""

    def shutdown_wait_s(self, now_s: float, deadline_s: float) -> float:
        """How long the last flush may take."""


class Random(Protocol):
    """The one draw that retry policies need."""

    def __call__(self) -> float:
        """A number from 0 up to 1."""


class Diagnostics(Protocol):
    """The agent's own few words: one line a failure window, one at recovery, never one a record."""

    def __call__(self, level: str, message: str, **fields: object) -> None: ...
