"""What shall be done, in the imperative. The driver runs effects in the order given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tailrace.emulator.function import Answer, Report
from tailrace.emulator.plain_value import plain_value


@dataclass(frozen=True, slots=True)
class SpawnProcess:
    """Start a process. The driver knows the command by the name; `environ` is its whole environment."""

    process: str
    generation: int
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SignalProcess:
    """Send a signal (``SIGTERM``, ``SIGKILL``) to the process and everything it started."""

    process: str
    generation: int
    signal: str


@plain_value
class Respond:
    """Answer an exchange of the in-sandbox API. Exchanges whose client is gone are ignored by the driver."""

    exchange: int
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@plain_value
class SetTimer:
    """Tell the machine when `at_ns` has come. A timer of the same name is replaced."""

    timer: str
    at_ns: int


@plain_value
class CancelTimer:
    """Forget a timer. Unknown names are ignored."""

    timer: str


@plain_value
class PostTelemetry:
    """Send a batch to a subscriber: `uri` as it subscribed, or ``tcp://sandbox.localdomain:PORT``; the driver maps the
    sandbox's host names to loopback. Over HTTP it is sent by `method`.

    `event_ids` are the ids of `PublishEvent` whose events the body carries, in order.
    """

    delivery: int
    subscriber: str
    uri: str
    body: bytes
    event_ids: tuple[int, ...]
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class ConnectSubscriber:
    """Connect to the TCP listener of a subscriber and keep the connection; answered by `SubscriberConnected`."""

    connection: int
    subscriber: str
    port: int


@dataclass(frozen=True, slots=True)
class AbandonTelemetry:
    """Stop waiting for the answer of a `PostTelemetry` and close its connection."""

    delivery: int


@plain_value
class Freeze:
    """Stop every process of the environment."""


@plain_value
class Thaw:
    """Let every process of the environment go on."""


@plain_value
class AnswerInvoker:
    """Give the invoker its answer. Comes before the invocation has ended for the platform."""

    answer: Answer


@plain_value
class CloseInvocation:
    """The invocation has ended for the platform; its figures are final."""

    report: Report


@plain_value
class WriteLog:
    """One line of the function's log stream. `source` is ``platform``, ``function`` or ``extension``.

    `request_id` is the invocation it belongs to, or None. `process` is the writer's name, or empty.
    """

    source: str
    text: str
    request_id: str | None
    process: str = ""


@plain_value
class PublishEvent:
    """A telemetry event came into being, whether or not anybody subscribed to its kind.

    `owed` are the subscribers that it is owed to just so; for those that get it in another form, or later, there is
    a `QueueEvent` each.
    """

    event_id: int
    event: Mapping[str, object]
    owed: tuple[str, ...] = ()


@plain_value
class QueueEvent:
    """A published event is owed to a subscriber in the form of its schema. It may yet be dropped or lost."""

    subscriber: str
    event_id: int
    event: Mapping[str, object]


@plain_value
class ConfirmDelivery:
    """A subscriber acknowledged these events."""

    subscriber: str
    event_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReportInit:
    """An init phase ended: what a person wants to know of it.

    `ready_ms` maps each process that became ready to its milliseconds since the phase began.
    """

    phase: str
    status: str
    error_type: str
    error_message: str
    duration_ms: float
    ready_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class EndEnvironment:
    """Every process is gone and every buffer is empty or given up. Nothing follows."""

    reason: str


Effect = (
    SpawnProcess
    | SignalProcess
    | Respond
    | SetTimer
    | CancelTimer
    | PostTelemetry
    | ConnectSubscriber
    | AbandonTelemetry
    | Freeze
    | Thaw
    | AnswerInvoker
    | CloseInvocation
    | WriteLog
    | PublishEvent
    | QueueEvent
    | ConfirmDelivery
    | ReportInit
    | EndEnvironment
)
