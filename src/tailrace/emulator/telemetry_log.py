"""Which subscriber got which telemetry event, and when; and what nobody asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tailrace.clock import rfc3339_ms
from tailrace.emulator.machine.effects import ConfirmDelivery, PublishEvent, QueueEvent


@dataclass(frozen=True, slots=True)
class TelemetryEntry:
    """One event in the form of one subscriber's schema.

    `subscriber` is None for an event that nobody had subscribed to; `delivered_at` (RFC 3339) is None for one
    that was not acknowledged: dropped, given up, or still buffered when the subscriber ended.
    """

    subscriber: str | None
    event: Mapping[str, object]
    delivered_at: str | None

    def as_json(self) -> dict[str, object]:
        return {
            "subscriber": self.subscriber,
            "time": self.event.get("time"),
            "event": dict(self.event),
            "deliveredAt": self.delivered_at,
        }


class TelemetryLog:
    """Collects what happened to every event, in the order in which events came into being."""

    def __init__(self) -> None:
        self._published: dict[int, Mapping[str, object]] = {}
        self._queued: dict[int, dict[str, TelemetryEntry]] = {}

    def published(self, effect: PublishEvent) -> None:
        self._published[effect.event_id] = effect.event

    def queued(self, effect: QueueEvent) -> None:
        entry = TelemetryEntry(effect.subscriber, effect.event, None)
        self._queued.setdefault(effect.event_id, {})[effect.subscriber] = entry

    def confirmed(self, effect: ConfirmDelivery, now_ns: int) -> None:
        at = rfc3339_ms(now_ns / 1e9)
        for event_id in effect.event_ids:
            entries = self._queued[event_id]
            entries[effect.subscriber] = replace(entries[effect.subscriber], delivered_at=at)

    def entries(self) -> tuple[TelemetryEntry, ...]:
        """One entry for each event and subscriber, and one without a subscriber where there was none."""
        return tuple(entry for event_id, event in self._published.items() for entry in self._of(event_id, event))

    def _of(self, event_id: int, event: Mapping[str, object]) -> list[TelemetryEntry]:
        return [*self._queued.get(event_id, {}).values()] or [TelemetryEntry(None, event, None)]
