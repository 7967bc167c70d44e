"""The processes of one generation: started, running, gone."""

from __future__ import annotations

from collections.abc import Mapping

from tailrace.emulator.machine.effects import SignalProcess, SpawnProcess
from tailrace.emulator.machine.stage import Stage


class Processes:
    """Counts generations up and knows which processes of the present one still run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.generation = 0
        self._running: list[str] = []
        self._was_spawned: set[str] = set()
        self._held: list[SpawnProcess] | None = None

    def begin_generation(self) -> None:
        self.generation += 1
        self._running.clear()
        self._was_spawned.clear()

    def spawn(self, process: str, environ: Mapping[str, str]) -> None:
        self._running.append(process)
        self._was_spawned.add(process)
        effect = SpawnProcess(process, self.generation, environ)
        if self._held is None:
            self._stage.emit(effect)
        else:
            self._held.append(effect)

    def stand_still(self) -> None:
        """From now on no process is started: it would run among frozen ones."""
        self._held = [] if self._held is None else self._held

    def go_on(self) -> None:
        held, self._held = self._held or (), None
        for effect in held:
            self._stage.emit(effect)

    def signal(self, process: str, signal: str) -> None:
        if process in self._running:
            self._stage.emit(SignalProcess(process, self.generation, signal))

    def kill_all(self) -> None:
        for process in tuple(self._running):
            self.signal(process, "SIGKILL")

    def ended(self, process: str, generation: int) -> bool:
        """Note an end. False for news of an earlier generation, or of an end that is known already."""
        if generation != self.generation or process not in self._running:
            return False
        self._running.remove(process)
        return True

    def runs(self, process: str) -> bool:
        return process in self._running

    def was_spawned(self, process: str) -> bool:
        return process in self._was_spawned

    @property
    def running(self) -> tuple[str, ...]:
        return tuple(self._running)
