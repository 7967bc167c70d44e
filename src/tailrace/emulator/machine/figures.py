"""The figures of one invocation, from its instants (lambda-platform.md 6.8, 6.9; lambda-platform-2026.md 5)."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.emulator.machine.stage import NS_PER_MS, Stage
from tailrace.protocol.platform_events import milliseconds, span


@dataclass(slots=True)
class Instants:
    """Nanoseconds since 1970; None where it has not come to that."""

    began_ns: int
    response_began_ns: int | None = None
    response_ended_ns: int | None = None
    runtime_done_ns: int | None = None

    def runtime_spans(self, stage: Stage) -> list[dict[str, object]]:
        """None at all where no response was posted."""
        began, ended = self.response_began_ns, self.response_ended_ns
        if began is None or ended is None:
            return []
        done = self.runtime_done_ns if self.runtime_done_ns is not None else ended
        return [
            _span(stage, "responseLatency", self.began_ns, began),
            _span(stage, "responseDuration", began, ended),
            _span(stage, "runtimeOverhead", ended, done),
        ]

    def extension_spans(self, stage: Stage) -> list[dict[str, object]]:
        """What the extensions still did after the runtime was done."""
        if self.runtime_done_ns is None:
            return []
        return [_span(stage, "extensionOverhead", self.runtime_done_ns, stage.now_ns)]


def _span(stage: Stage, name: str, from_ns: int, to_ns: int) -> dict[str, object]:
    return span(name, stage.time_text(from_ns), milliseconds(to_ns - from_ns))


def billed_ms(duration_ms: float, init_ms: float) -> int:
    """The ceiling of duration plus init, at least one (lambda-platform-2026.md 5)."""
    total_us = round(duration_ms * 1000) + round(init_ms * 1000)
    return max(-(-total_us // 1000), 1)


def deadline_ms(deadline_ns: int) -> int:
    return deadline_ns // NS_PER_MS
