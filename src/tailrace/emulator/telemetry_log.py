"""Which subscriber got which telemetry event, and when; and what nobody asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tailrace.clock import rfc3339_ms
from tailrace.emulator.machine.effects import ConfirmDelivery, PostTelemetry, PublishEvent


@dataclass(frozen=True, slots=True)
class TelemetryEntry:
    """One event as one subscriber got it.

    `subscriber` is None for an event that was sent to nobody; `delivered_at` (RFC 3339) is None for one that
    was not acknowledged.
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
        self._attempted: dict[int, set[str]] = {}
        self._confirmed: dict[int, dict[str, TelemetryEntry]] = {}

    def published(self, effect: PublishEvent) -> None:
        self._published[effect.event_id] = effect.event

    def attempted(self, effect: PostTelemetry) -> None:
        for event_id in effect.event_ids:
            self._attempted.setdefault(event_id, set()).add(effect.subscriber)

    def confirmed(self, effect: ConfirmDelivery, now_ns: int) -> None:
        at = rfc3339_ms(now_ns / 1e9)
        for event_id, event in zip(effect.event_ids, effect.events, strict=True):
            entry = TelemetryEntry(effect.subscriber, event, at)
            self._confirmed.setdefault(event_id, {})[effect.subscriber] = entry

    def entries(self) -> tuple[TelemetryEntry, ...]:
        """One entry for each event and subscriber, and one without a subscriber where there was none."""
        return tuple(entry for event_id, event in self._published.items() for entry in self._of(event_id, event))

    def _of(self, event_id: int, event: Mapping[str, object]) -> list[TelemetryEntry]:
        confirmed = self._confirmed.get(event_id, {})
        missed = sorted(self._attempted.get(event_id, set()) - confirmed.keys())
        entries = [*confirmed.values(), *(TelemetryEntry(subscriber, event, None) for subscriber in missed)]
        return entries or [TelemetryEntry(None, event, None)]
