"""A machine in whose environment things go wrong: facts and effects pass through, and faults are added to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from tailrace.emulator.faults import kinds
from tailrace.emulator.faults.credentials import expired
from tailrace.emulator.faults.effects import (
    CutConnections,
    FaultEffect,
    FillDisk,
    FreeDisk,
    LimitFileSize,
    PostTelemetryBadly,
    ReportFault,
    SignalDuringPost,
)
from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.faults.plan import Decider, FaultPlan, Moment
from tailrace.emulator.faults.watch import Watch, process_of
from tailrace.emulator.machine import effects, facts

AnyEffect = effects.Effect | FaultEffect

_TIMER = "fault:"
_CONTINUE, _FREE_DISK, _LIFT_LIMIT = f"{_TIMER}continue:", f"{_TIMER}free-disk", f"{_TIMER}lift-limit:"
_NS_PER_MS = 1_000_000
_NOW = "now"


class Inner(Protocol):
    """A machine without faults."""

    def handle(self, fact: facts.Fact, now_ns: int) -> Sequence[AnyEffect]: ...


class FaultyMachine:
    """Pure, as the machine inside: the same plan, facts and times give the same effects."""

    def __init__(self, inner: Inner, plan: FaultPlan) -> None:
        self._inner = inner
        self._decider = Decider(plan)
        self._watch = Watch()
        self._generations: dict[str, int] = {}
        self._paused: set[str] = set()
        self._is_frozen = False
        self._now_ns = 0

    @property
    def never_happened(self) -> list[Fault]:
        """Faults of the plan that have not happened so far."""
        return self._decider.never_happened

    def handle(self, fact: facts.Fact, now_ns: int) -> list[AnyEffect]:
        """What follows from `fact`, and what goes wrong with it."""
        self._now_ns = max(now_ns, self._now_ns)
        if isinstance(fact, facts.FaultRequested):
            return self._requested(fact.fault)
        if isinstance(fact, facts.TimerFired) and fact.timer.startswith(_TIMER):
            return list(self._over(fact.timer))
        early = self._watch.before(fact)
        done = list(self._happen(early)) if early is not None else []
        if early is not None and self._is_killed(done, early.process):
            return done  # it died before the platform heard of its request
        wanted = self._inner.handle(fact, now_ns)
        for effect in wanted:
            done += self._ahead_of(effect)
        for effect in wanted:
            done += self._pass_through(effect)
        for moment in self._watch.after(fact):
            done += self._happen(moment)
        return done

    def _requested(self, fault: Fault) -> list[AnyEffect]:
        if fault.moment:
            self._decider.add(fault)
            return []
        self._decider.note(fault)
        return list(self._do(fault, Moment(_NOW, fault.process, self._watch.invocation)))

    def _is_killed(self, done: list[AnyEffect], process: str) -> bool:
        return self._signal(process_of(process), "SIGKILL") in done

    # effects of the machine inside

    def _ahead_of(self, effect: AnyEffect) -> Iterator[AnyEffect]:
        """What goes wrong before a process can act on what it is told: it would be a race otherwise."""
        for moment in self._watch.ahead_of(effect):
            yield from self._happen(moment)

    def _pass_through(self, effect: AnyEffect) -> Iterator[AnyEffect]:
        if isinstance(effect, effects.PostTelemetry):
            yield from self._post(effect)
            return
        if isinstance(effect, effects.Respond):
            yield from self._answer(effect)
            return
        if isinstance(effect, effects.SpawnProcess):
            self._generations[effect.process] = effect.generation
            self._paused.discard(effect.process)
        elif isinstance(effect, effects.Freeze | effects.Thaw):
            self._is_frozen = isinstance(effect, effects.Freeze)
        yield effect
        if isinstance(effect, effects.Thaw):  # which let all of them go
            for process in sorted(self._paused):
                yield self._signal(process, "SIGSTOP")
        for moment in self._watch.behind(effect):
            yield from self._happen(moment)

    def _answer(self, effect: effects.Respond) -> Iterator[AnyEffect]:
        moment = self._watch.gives_credentials(effect)
        for fault in self._decider.decide(moment) if moment else ():
            yield ReportFault(fault, "", self._watch.invocation)
            effect = expired(effect, fault.number("status"), self._now_ns)
        yield effect

    def _post(self, post: effects.PostTelemetry) -> Iterator[AnyEffect]:
        moment = self._watch.of_telemetry(post)
        way: AnyEffect = post
        for fault in self._decider.decide(moment):
            yield ReportFault(fault, moment.process, moment.invocation)
            if fault.kind.is_of_telemetry:
                way = PostTelemetryBadly(post, fault)
            elif fault.what == kinds.KILL and fault.process == post.subscriber:
                signal = self._signal(process_of(fault.process), str(fault.parameters["signal"]))
                way = SignalDuringPost(post, signal)
            else:
                yield from self._carry_out(fault)
        yield way

    # faults

    def _happen(self, moment: Moment) -> Iterator[AnyEffect]:
        for fault in self._decider.decide(moment):
            yield from self._do(fault, moment)

    def _do(self, fault: Fault, moment: Moment) -> Iterator[AnyEffect]:
        yield ReportFault(fault, moment.process, moment.invocation)
        yield from self._carry_out(fault)

    def _carry_out(self, fault: Fault) -> Iterator[AnyEffect]:
        process = process_of(fault.process) if fault.process else ""
        if fault.what == kinds.KILL:
            yield self._signal(process, str(fault.parameters["signal"]))
        elif fault.what == kinds.PAUSE:
            self._paused.add(process)
            yield self._signal(process, "SIGSTOP")
            yield self._timer(_CONTINUE + process, fault.number("duration_ms"))
        elif fault.what == kinds.CUT:
            yield CutConnections(process)
        elif fault.what == kinds.DISK_FULL:
            yield FillDisk(fault.number("free_bytes"))
            if fault.number("duration_ms"):
                yield self._timer(_FREE_DISK, fault.number("duration_ms"))
        elif fault.what == kinds.FILE_SIZE_LIMIT:
            yield LimitFileSize(process, fault.number("max_file_bytes"))
            if fault.number("duration_ms"):
                yield self._timer(_LIFT_LIMIT + process, fault.number("duration_ms"))

    def _over(self, timer: str) -> Iterator[AnyEffect]:
        """The time of a fault has passed."""
        if timer == _FREE_DISK:
            yield FreeDisk()
        elif timer.startswith(_LIFT_LIMIT):
            yield LimitFileSize(timer.removeprefix(_LIFT_LIMIT), None)
        else:
            process = timer.removeprefix(_CONTINUE)
            if process in self._paused:
                self._paused.discard(process)
                if not self._is_frozen:
                    yield self._signal(process, "SIGCONT")

    def _signal(self, process: str, signal: str) -> effects.SignalProcess:
        return effects.SignalProcess(process, self._generations.get(process, 0), signal)

    def _timer(self, name: str, after_ms: int) -> effects.SetTimer:
        return effects.SetTimer(name, self._now_ns + after_ms * _NS_PER_MS)
