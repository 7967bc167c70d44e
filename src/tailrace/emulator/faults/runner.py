"""Carries out what a fault adds to the machine's effects. Whatever cannot be done is said, never passed over."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any, Protocol

from tailrace.emulator.faults import connections, effects
from tailrace.emulator.faults.disk import DiskFiller
from tailrace.emulator.faults.telemetry_shell import Sender, TelemetryShell
from tailrace.emulator.machine.effects import SignalProcess
from tailrace.emulator.machine.facts import Fact


class Processes(Protocol):
    """What controls the environment's processes: see `tailrace.emulator.processes.sandbox`."""

    def signal(self, name: str, generation: int, signal_name: str) -> None: ...

    def members(self, name: str = "") -> list[int]:
        """Pids of a process and what it started, or of all."""


class Api(Protocol):
    """What serves the in-sandbox API: see `tailrace.emulator.servers.api_server`."""

    @property
    def address(self) -> str: ...

    def cut_idle(self) -> None:
        """Reset the connections on which no request is open."""


class FaultRunner:
    """The shell for faults of one environment. `on_fault` is told of each with what kept it from happening, if
    anything did."""

    def __init__(
        self, emit: Callable[[Fact], None], on_fault: Callable[[effects.ReportFault | None, str], None]
    ) -> None:
        self._telemetry = TelemetryShell(emit)
        self._on_fault = on_fault
        self._disk = DiskFiller()
        self._processes: Processes | None = None
        self._api: Api | None = None

    def answered(self, fact: Fact) -> None:
        """What the sender of telemetry has to tell the machine."""
        self._telemetry.answered(fact)

    def attach(self, processes: Processes, sender: Sender, api: Api) -> None:
        self._processes, self._telemetry.sender, self._api = processes, sender, api

    def abandon(self, delivery: int) -> None:
        """The machine has stopped waiting for the answer of a delivery."""
        self._telemetry.abandon(delivery)

    def execute(self, effect: object) -> None:
        """Do it now. Raises `KeyError` for what is no fault's effect."""
        _EXECUTE[type(effect)](self, effect)

    async def close(self) -> None:
        self._disk.release()
        await self._telemetry.close()

    def _report(self, effect: effects.ReportFault) -> None:
        self._on_fault(effect, "")

    def _post_badly(self, effect: effects.PostTelemetryBadly) -> None:
        self._telemetry.post(effect)

    def _signal_during_post(self, effect: effects.SignalDuringPost) -> None:
        signal: SignalProcess = effect.signal
        self._telemetry.post_and_signal(
            effect, lambda: self._known.signal(signal.process, signal.generation, signal.signal)
        )

    def _cut(self, effect: effects.CutConnections) -> None:
        assert self._api is not None
        port = int(self._api.address.rpartition(":")[2])
        _, problem = connections.cut(self._known.members(effect.process), port, self._known.members())
        self._api.cut_idle()
        if self._telemetry.sender is not None:
            self._telemetry.sender.cut()
        if problem:
            self._on_fault(None, f"connections of processes could not be cut: {problem}")

    def _fill(self, effect: effects.FillDisk) -> None:
        problem = self._disk.fill(self._known.members(), effect.free_bytes)
        if problem:
            self._on_fault(None, problem)

    def _free(self, _effect: effects.FreeDisk) -> None:
        self._disk.release()

    def _limit(self, effect: effects.LimitFileSize) -> None:
        for pid in self._known.members(effect.process):
            try:
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                wanted = hard if effect.max_file_bytes is None else effect.max_file_bytes
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (wanted, hard))
            except ProcessLookupError:
                continue
            except OSError as error:
                self._on_fault(None, f"files of a process could not be limited: {str(error.strerror).lower()}")

    @property
    def _known(self) -> Processes:
        assert self._processes is not None
        return self._processes


_EXECUTE: dict[type, Callable[[FaultRunner, Any], None]] = {
    effects.ReportFault: FaultRunner._report,
    effects.PostTelemetryBadly: FaultRunner._post_badly,
    effects.SignalDuringPost: FaultRunner._signal_during_post,
    effects.CutConnections: FaultRunner._cut,
    effects.FillDisk: FaultRunner._fill,
    effects.FreeDisk: FaultRunner._free,
    effects.LimitFileSize: FaultRunner._limit,
}
