"""The telemetry of an init, kept for extensions that subscribe later in it (lambda-platform.md 5.4)."""

from __future__ import annotations

from collections.abc import Iterable

from tailrace.emulator.machine.telemetry_batch import Dropped
from tailrace.emulator.machine.telemetry_event import TelemetryEvent
from tailrace.emulator.machine.telemetry_form import NEWEST
from tailrace.protocol.platform_events import SLOW_CONSUMER


class Backlog:
    """Bounded: what does not fit any more is counted, so that those who come later learn how much they missed."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._lost: dict[str, Dropped] = {}
        self.events: list[TelemetryEvent] = []

    def keep(self, event: TelemetryEvent) -> None:
        n_bytes = len(event.encoded(NEWEST))
        if self._n_bytes + n_bytes <= self._max_bytes:
            self.events.append(event)
            self._n_bytes += n_bytes
        else:
            self._lost.setdefault(event.category, Dropped()).add(1, n_bytes, SLOW_CONSUMER)

    def lost(self, categories: Iterable[str]) -> Dropped:
        """What of these did not fit."""
        total = Dropped()
        for category in categories:
            found = self._lost.get(category, Dropped())
            total.add(found.records, found.n_bytes, SLOW_CONSUMER)
        return total

    def clear(self) -> None:
        self.events = []
        self._lost = {}
        self._n_bytes = 0
