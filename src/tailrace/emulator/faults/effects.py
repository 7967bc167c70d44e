"""What a fault adds to the machine's effects. The driver's shell for faults carries these out."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.machine.effects import PostTelemetry, SignalProcess


@dataclass(frozen=True, slots=True)
class PostTelemetryBadly:
    """Run a `PostTelemetry` with a fault of telemetry. It is answered once, as every `PostTelemetry` is."""

    post: PostTelemetry
    fault: Fault


@dataclass(frozen=True, slots=True)
class SignalDuringPost:
    """Send a process a signal when half of a batch is on its way to it; what becomes of the rest is its answer."""

    post: PostTelemetry
    signal: SignalProcess


@dataclass(frozen=True, slots=True)
class CutConnections:
    """Reset the TCP connections of a process and what it started, or (empty) of all, and ours that are idle."""

    process: str


@dataclass(frozen=True, slots=True)
class FillDisk:
    """Fill the environment's own `/tmp` up to `free_bytes`."""

    free_bytes: int


@dataclass(frozen=True, slots=True)
class FreeDisk:
    """Give back what `FillDisk` took."""


@dataclass(frozen=True, slots=True)
class LimitFileSize:
    """No file of the process, and of what it started, grows beyond `max_file_bytes`; None lifts the limit."""

    process: str
    max_file_bytes: int | None


@dataclass(frozen=True, slots=True)
class ReportFault:
    """A fault of the plan happens now: `process` and `invocation` are those of its moment."""

    fault: Fault
    process: str
    invocation: int


FaultEffect = PostTelemetryBadly | SignalDuringPost | CutConnections | FillDisk | FreeDisk | LimitFileSize | ReportFault
