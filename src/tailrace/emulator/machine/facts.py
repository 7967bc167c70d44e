"""What can happen to an environment, in the past tense. The driver tells the machine; the machine decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.function import Invocation
from tailrace.emulator.plain_value import plain_value

RUNTIME = "runtime"
"""The name of the runtime's process. Extensions' processes bear the base name of their file, prefixed ``ext:``."""


def extension_process(name: str) -> str:
    """The process name of the extension `name`."""
    return f"ext:{name}"


@dataclass(frozen=True, slots=True)
class InitRequested:
    """The environment shall be initialised now, ahead of or together with a first invocation."""


@plain_value
class InvokeRequested:
    """Somebody outside calls the function. The driver offers one invocation at a time, whatever the state."""

    invocation: Invocation


@dataclass(frozen=True, slots=True)
class ShutdownRequested:
    """The environment shall end (reason ``spindown``)."""


@plain_value
class HttpRequested:
    """A request reached the in-sandbox API. Header names are lower case; `path` is without query.

    `exchange` names the request until it is answered by `Respond`; long polls stay open.
    `truncated` is true where the connection ended before the body did. `began_ns` is when the first byte of the
    request came, by the clock of `now_ns`; None where it is not known, which is read as now.
    """

    exchange: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False
    began_ns: int | None = None


@dataclass(frozen=True, slots=True)
class HttpAbandoned:
    """The client of a pending exchange closed its connection."""

    exchange: int


@dataclass(frozen=True, slots=True)
class ProcessNotSpawned:
    """The operating system refused to start a process. `error` is its errno name, for example ``EACCES``."""

    process: str
    generation: int
    error: str


@dataclass(frozen=True, slots=True)
class ProcessExited:
    """A process ended. Exactly one of `exit_code` and `signal` is set; `signal` is its name, ``SIGKILL``.

    `generation` is the one its `SpawnProcess` carried, so that late news of an old process does no harm.
    """

    process: str
    generation: int
    exit_code: int | None
    signal: str | None


@dataclass(frozen=True, slots=True)
class LineWritten:
    """A process wrote one whole line (no line break in `text`; undecodable bytes replaced)."""

    process: str
    generation: int
    text: str


@plain_value
class LinesWritten:
    """A process wrote several whole lines, one after the other."""

    process: str
    generation: int
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SubscriberConnected:
    """A `ConnectSubscriber` succeeded, or failed where `error` says how."""

    connection: int
    error: str = ""


@plain_value
class TelemetryAnswered:
    """A `PostTelemetry` was answered (over TCP: its last byte was taken), or failed: `status` is 0 then and `error`
    says how."""

    delivery: int
    status: int
    error: str = ""


@plain_value
class TimerFired:
    """The time of a `SetTimer` has come."""

    timer: str


@plain_value
class MemoryMeasured:
    """The process tree's proportional set size just now. The machine keeps the peak."""

    n_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryLimitExceeded:
    """The process tree used more than the function's memory: `n_bytes`, or what was seen last.

    With `killed_by_kernel` the kernel has ended something already; fed before the `ProcessExited` of what it ended,
    because the first fatal error wins. Else the machine has the processes killed.
    """

    n_bytes: int
    killed_by_kernel: bool


@dataclass(frozen=True, slots=True)
class FreezeRequested:
    """Every process shall stand still now, whatever it is doing: somebody who watches says so, not the platform."""


@dataclass(frozen=True, slots=True)
class ThawRequested:
    """Every process shall go on, whoever froze it."""


@dataclass(frozen=True, slots=True)
class FaultRequested:
    """Something shall go wrong from now on. The machine around this one decides what that is, or nobody does."""

    fault: Fault


Fact = (
    InitRequested
    | InvokeRequested
    | ShutdownRequested
    | HttpRequested
    | HttpAbandoned
    | ProcessNotSpawned
    | ProcessExited
    | LineWritten
    | LinesWritten
    | SubscriberConnected
    | TelemetryAnswered
    | TimerFired
    | MemoryMeasured
    | MemoryLimitExceeded
    | FreezeRequested
    | ThawRequested
    | FaultRequested
)
