"""What may be added to the machine of a run: faults, and a transcript of everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.faults.machine import FaultyMachine
from tailrace.emulator.faults.plan import FaultPlan
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.identifiers import IDS
from tailrace.emulator.machine import facts
from tailrace.emulator.transcript import RecordingMachine, Settings, Transcript


class Machine(Protocol):
    """What the driver needs of a machine."""

    def handle(self, fact: facts.Fact, now_ns: int) -> Sequence[Any]: ...


class Instruments:
    """Makes the machine of one environment. `plan` is None where nothing shall ever go wrong."""

    def __init__(self, plan: FaultPlan | None = None, transcript: Transcript | None = None) -> None:
        self._plan = plan
        self._transcript = transcript
        self._faulty: FaultyMachine | None = None

    def make_machine(self, config: FunctionConfig, api_address: str, extension_variables: Mapping[str, str]) -> Machine:
        """As the driver's `machine_factory`."""
        settings = Settings(config, api_address, extension_variables, self._plan)
        transcript = self._transcript
        machine = settings.make_machine(transcript.new_id if transcript is not None else IDS.uuid)
        self._faulty = machine if isinstance(machine, FaultyMachine) else None
        if transcript is None:
            return machine
        transcript.begin(settings)
        return RecordingMachine(machine, transcript)

    @property
    def never_happened(self) -> list[Fault]:
        """Faults of the plan whose moment has not come, or whose dice said no."""
        return self._faulty.never_happened if self._faulty is not None else []
