"""Which subscriber got which telemetry event, and when; and what nobody asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
        self._published: dict[int, PublishEvent] = {}
        self._queued: dict[int, dict[str, Mapping[str, object]]] = {}
        self._delivered_at: dict[str, dict[int, str]] = {}

    def published(self, effect: PublishEvent) -> None:
        self._published[effect.event_id] = effect

    def queued(self, effect: QueueEvent) -> None:
        self._queued.setdefault(effect.event_id, {})[effect.subscriber] = effect.event

    def confirmed(self, effect: ConfirmDelivery, now_ns: int) -> None:
        at = rfc3339_ms(now_ns / 1e9)
        self._delivered_at.setdefault(effect.subscriber, {}).update(dict.fromkeys(effect.event_ids, at))

    def entries(self) -> tuple[TelemetryEntry, ...]:
        """One entry for each event and subscriber, and one without a subscriber where there was none."""
        return tuple(entry for published in self._published.values() for entry in self._of(published))

    def _of(self, published: PublishEvent) -> list[TelemetryEntry]:
        event_id, event = published.event_id, published.event
        owed = dict.fromkeys(published.owed, event) | self._queued.get(event_id, {})
        if not owed:
            return [TelemetryEntry(None, event, None)]
        return [
            TelemetryEntry(subscriber, form, self._delivered_at.get(subscriber, {}).get(event_id))
            for subscriber, form in owed.items()
        ]
