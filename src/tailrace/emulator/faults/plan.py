"""A plan of faults, and the dice that decide which of them happen. Nothing here touches a process."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from tailrace.emulator.faults import kinds
from tailrace.emulator.faults.fault import RUNTIME, Fault
from tailrace.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that just happened. `process` is empty where it concerns the whole environment; `invocation` is the
    number of the one under way or last done, 0 before the first."""

    name: str
    process: str
    invocation: int


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Faults in order, and the seed of their dice."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0

    def check(self, extensions: Iterable[str], isolation: str) -> None:
        """Raises `ConfigError` for a fault that this environment cannot have."""
        names = [RUNTIME, *extensions]
        for number, fault in enumerate(self.faults, 1):
            check_fault(fault, names, isolation, f"fault {number}, ")
            if not fault.moment:
                raise ConfigError(
                    f"fault {number}, when", f"is missing; {fault.what} has to know its moment", _moments(fault.kind)
                )


def check_fault(fault: Fault, names: Iterable[str], isolation: str, place: str = "") -> None:
    """Raises `ConfigError` for a fault that an environment of these processes cannot have."""
    names = list(names)
    if fault.kind.needs_process and fault.process not in names:
        raise ConfigError(f"{place}process", f'there is no "{fault.process}"', f"one of {', '.join(names)}")
    if fault.what == kinds.PAUSE and fault.process == RUNTIME:
        raise ConfigError(f"{place}process", "the runtime is no subscriber", f"one of {', '.join(names[1:]) or 'none'}")
    if isolation == "process" and not fault.kind.in_process_isolation:
        raise ConfigError(
            f"{place}what",
            f"{fault.what} needs an environment with a /tmp of its own; in process isolation /tmp is this machine's",
            "use --isolation namespace, or the fault file-size-limit",
        )


def _moments(kind: kinds.Kind) -> str:
    return f"one of {', '.join(kind.moments)}"


class _Armed:
    """A fault that waits. Its dice are its own, one for each process: what other processes do, and how often, never
    changes what is decided for this one."""

    def __init__(self, fault: Fault, seed: str) -> None:
        self.fault = fault
        self.happened = 0
        self._seed = seed
        self._dice: dict[str, random.Random] = {}

    def fits(self, moment: Moment) -> bool:
        fault = self.fault
        if moment.name != fault.moment or fault.invocation not in (None, moment.invocation):
            return False
        if moment.process and fault.process not in ("", moment.process):
            return False
        return fault.count is None or self.happened < fault.count

    def throw(self, moment: Moment) -> bool:
        dice = self._dice.get(moment.process)
        if dice is None:
            # no part of security: the same seed must give the same run
            dice = self._dice[moment.process] = random.Random(f"{self._seed}:{moment.process}")  # noqa: S311 - dice, no secrets
        happens = dice.random() < self.fault.probability
        self.happened += happens
        return happens


class Decider:
    """What happens at each moment. The same seed and the same moments give the same faults."""

    def __init__(self, plan: FaultPlan) -> None:
        self._seed = plan.seed
        self._armed: list[_Armed] = []
        for fault in plan.faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Wait for the moment of one more fault."""
        self._armed.append(_Armed(fault, f"{self._seed}:{len(self._armed)}"))

    def decide(self, moment: Moment) -> list[Fault]:
        """The faults that happen now, in the plan's order. Of those that spoil one and the same answer, the first."""
        decided: list[Fault] = []
        spoiled = False
        for armed in self._armed:
            spoils = armed.fault.kind.is_exclusive
            if armed.fits(moment) and not (spoils and spoiled) and armed.throw(moment):
                decided.append(armed.fault)
                spoiled = spoiled or spoils
        return decided

    def note(self, fault: Fault) -> None:
        """A fault that was asked for happened at once."""
        armed = _Armed(fault, "")
        armed.happened = 1
        self._armed.append(armed)

    @property
    def never_happened(self) -> list[Fault]:
        """Faults whose moment did not come, or whose dice said no."""
        return [armed.fault for armed in self._armed if not armed.happened]
