"""Where the machine's parts meet the outside: the time of the fact at hand, the effects so far, and the timers."""

from __future__ import annotations

from collections.abc import Callable

from tailrace.clock import rfc3339_ms
from tailrace.emulator.machine.effects import CancelTimer, Effect, SetTimer

NS_PER_MS = 1_000_000

ALL_TIMERS = ("",)
"""What the names of timers begin with."""


class Stage:
    """Collects effects. Timers can stand still, all or some: that is what a freeze does to them."""

    def __init__(self, ids: Callable[[], str]) -> None:
        self.ids = ids
        self.now_ns = 0
        self._effects: list[Effect] = []
        self._armed: dict[str, int] = {}
        self._standing: dict[str, int] = {}
        self._still: tuple[str, ...] = ()
        self._last_second = (-1, "")

    def emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def emit_first(self, effect: Effect) -> None:
        """Ahead of everything that the fact at hand has led to so far."""
        self._effects.insert(0, effect)

    def take_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    def time_text(self, at_ns: int | None = None) -> str:
        """`at_ns`, or now, as telemetry events write it."""
        second, at_ms = divmod((self.now_ns if at_ns is None else at_ns) // NS_PER_MS, 1000)
        if second != self._last_second[0]:
            self._last_second = (second, rfc3339_ms(second)[: -len("000Z")])
        return f"{self._last_second[1]}{at_ms:03}Z"

    def set_timer(self, timer: str, delay_ms: float) -> None:
        """Arm `timer` to fire in `delay_ms`; one of the same name is replaced."""
        delay_ns = int(delay_ms * NS_PER_MS)
        if timer.startswith(self._still):
            self._standing[timer] = delay_ns
            return
        self._armed[timer] = self.now_ns + delay_ns
        self.emit(SetTimer(timer, self._armed[timer]))

    def cancel_timer(self, timer: str) -> None:
        self._standing.pop(timer, None)
        if self._armed.pop(timer, None) is not None:
            self.emit(CancelTimer(timer))

    def timer_is_due(self, timer: str) -> bool:
        """Whether `timer` really fired: news of a cancelled or replaced one comes late and is ignored."""
        at_ns = self._armed.get(timer)
        if at_ns is None:
            return False
        if self.now_ns < at_ns:
            self.emit(SetTimer(timer, at_ns))
            return False
        del self._armed[timer]
        return True

    def stop_timers(self, kinds: tuple[str, ...] = ALL_TIMERS) -> None:
        """Let the timers whose names begin so stand still, those set from now on too."""
        self._still = (*self._still, *kinds)
        for timer, at_ns in tuple(self._armed.items()):
            if timer.startswith(kinds):
                self._standing[timer] = max(at_ns - self.now_ns, 0)
                del self._armed[timer]
                self.emit(CancelTimer(timer))

    def start_timers(self) -> None:
        """Let them go on with what was left of them."""
        standing, self._standing = self._standing, {}
        self._still = ()
        for timer, left_ns in standing.items():
            self._armed[timer] = self.now_ns + left_ns
            self.emit(SetTimer(timer, self._armed[timer]))
