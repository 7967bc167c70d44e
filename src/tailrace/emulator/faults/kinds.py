"""Which faults there are, at which moments they can happen, and what each of them takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

INIT, REGISTERED, SUBSCRIBED, READY = "init", "registered", "subscribed", "ready"
INVOKE, RESPONSE, NEXT, TELEMETRY = "invoke", "response", "next", "telemetry"
FREEZE, THAW, SHUTDOWN, CREDENTIALS = "freeze", "thaw", "shutdown", "credentials"

MOMENTS: Mapping[str, str] = MappingProxyType(
    {
        INIT: "a process has been started, in the first init or in one after a reset",
        REGISTERED: "an extension has registered, and is about to be told so",
        SUBSCRIBED: "an extension has subscribed to telemetry, and is about to be told so",
        READY: "a process has asked for its first event",
        INVOKE: "the runtime is about to be given the invocation, and the extensions their INVOKE event",
        RESPONSE: "the function's answer, good or not, has been taken, and the runtime is about to be told so",
        NEXT: "a process asks for another event: it is done with the one before, and the platform has not heard it yet",
        TELEMETRY: "a batch is on its way to a subscriber",
        FREEZE: "every process has been frozen",
        THAW: "every process runs again",
        SHUTDOWN: "an extension is about to be given SHUTDOWN, or the runtime SIGTERM",
        CREDENTIALS: "a process asks the container credentials endpoint",
    }
)

_LIFE = tuple(moment for moment in MOMENTS if moment != CREDENTIALS)

KILL, PAUSE, CUT, DISK_FULL = "kill", "subscriber-pause", "cut-connections", "disk-full"
FILE_SIZE_LIMIT, CREDENTIALS_EXPIRED = "file-size-limit", "credentials-expired"
LATE, RESET, STATUS_5XX, DUPLICATE = "telemetry-late", "telemetry-reset", "telemetry-5xx", "telemetry-duplicate"

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGSEGV", "SIGABRT", "SIGBUS")

MAX_MS = 900_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """`default` gives the type too. `allowed` are the only values; `least` and `most` bound a whole number."""

    default: bool | int | str
    meaning: str
    least: int = 0
    most: int = MAX_MS
    allowed: tuple[int | str, ...] = ()

    @property
    def wanted(self) -> str:
        """What may be given, in words."""
        if self.allowed:
            return f"one of {', '.join(map(str, self.allowed))}"
        if isinstance(self.default, bool):
            return "true or false"
        return f"a whole number from {self.least} to {self.most}"

    def fits(self, value: object) -> bool:
        if type(value) is not type(self.default):
            return False
        if self.allowed:
            return value in self.allowed
        return isinstance(value, bool) or (isinstance(value, int) and self.least <= value <= self.most)


@dataclass(frozen=True, slots=True)
class Kind:
    """One fault. `moment` is the one that stands where none is given; empty: it has to be given, or it is now.

    `needs_process` says that a fault without a process makes no sense; `in_process_isolation` that it can be done
    where processes share the machine's files.
    """

    meaning: str
    moment: str = ""
    moments: tuple[str, ...] = _LIFE
    needs_process: bool = False
    in_process_isolation: bool = True
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def is_exclusive(self) -> bool:
        """Whether one answer can have one such fault only."""
        return len(self.moments) == 1

    @property
    def is_of_telemetry(self) -> bool:
        return self.moments == (TELEMETRY,)


def _of_telemetry(meaning: str, **parameters: Parameter) -> Kind:
    return Kind(meaning, TELEMETRY, (TELEMETRY,), parameters=parameters)


_DURATION_MS = "how long, by the wall clock"

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        LATE: _of_telemetry(
            "The subscriber gets the batch and answers at once; the platform sees the answer `delay_ms` later.",
            delay_ms=Parameter(1000, "how late the platform sees the answer"),
        ),
        RESET: _of_telemetry(
            "The connection is reset: before the batch is sent, or after the subscriber has answered it.",
            reaches_subscriber=Parameter(False, "true: the subscriber gets the batch, and only its answer is lost"),
        ),
        STATUS_5XX: _of_telemetry(
            "The platform sees `status`, whatever the subscriber answers.",
            status=Parameter(503, "what the platform sees", 500, 599),
            reaches_subscriber=Parameter(True, "false: the subscriber never sees the batch of this attempt"),
        ),
        DUPLICATE: _of_telemetry(
            "An accepted batch is sent again, as a lost answer would cause.",
            copies=Parameter(1, "how many times more", 1, 100),
        ),
        PAUSE: Kind(
            "An extension with everything that it started stands still, while the environment goes on.",
            needs_process=True,
            parameters={"duration_ms": Parameter(1000, _DURATION_MS, 1)},
        ),
        KILL: Kind(
            "A process with everything that it started is sent a signal.",
            needs_process=True,
            parameters={"signal": Parameter("SIGKILL", "which one", allowed=SIGNALS)},
        ),
        DISK_FULL: Kind(
            "The environment's own `/tmp` is filled: writing fails with ENOSPC.",
            in_process_isolation=False,
            parameters={
                "free_bytes": Parameter(0, "what is left free", 0, 10 * 2**30),
                "duration_ms": Parameter(0, f"{_DURATION_MS}; 0: to the end of the environment"),
            },
        ),
        FILE_SIZE_LIMIT: Kind(
            "No file grows beyond `max_file_bytes`: writing fails with EFBIG, or SIGXFSZ ends a process that does not "
            "ignore it.",
            needs_process=True,
            parameters={
                "max_file_bytes": Parameter(0, "the largest file", 0, 2**40),
                "duration_ms": Parameter(0, f"{_DURATION_MS}; 0: to the end of the process"),
            },
        ),
        CUT: Kind("TCP connections of the environment's processes are reset, as idle ones are.", moment=FREEZE),
        CREDENTIALS_EXPIRED: Kind(
            "The container credentials endpoint gives credentials whose `Expiration` has passed, or refuses.",
            CREDENTIALS,
            (CREDENTIALS,),
            parameters={
                "status": Parameter(200, "200: expired ones; otherwise the refusal", allowed=(200, 401, 403, 404, 500))
            },
        ),
    }
)
