"""Which subscriber got which telemetry event, and when; and what nobody asked for."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tailrace.clock import rfc3339_ms
from tailrace.emulator.machine.effects import ConfirmDelivery, PublishEvent, QueueEvent
from tailrace.emulator.newest import memory_of

MAX_LOG_BYTES = 32 * 1_048_576
"""Of memory: some 30,000 lines of a hundred characters."""

_ENTRY_BYTES = 768
"""About what an event takes beside its record."""


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


_NOBODY = (None,)


class TelemetryCounts:
    """How many events each subscriber was given, and how many it acknowledged. None stands for no subscriber.

    `n_left_out` of those given are not kept.
    """

    __slots__ = ("acknowledged", "given", "n_left_out")

    def __init__(self) -> None:
        self.given: Counter[str | None] = Counter()
        self.acknowledged: Counter[str | None] = Counter()
        self.n_left_out = 0


@dataclass(slots=True)
class _Event:
    published: PublishEvent
    n_bytes: int
    queued: dict[str, Mapping[str, object]] | None = None
    delivered_at: dict[str, str] | None = None

    def entries(self) -> list[TelemetryEntry]:
        event = self.published.event
        owed = dict.fromkeys(self.published.owed, event) | (self.queued or {})
        if not owed:
            return [TelemetryEntry(None, event, None)]
        at = self.delivered_at or {}
        return [TelemetryEntry(subscriber, form, at.get(subscriber)) for subscriber, form in owed.items()]

    def subscribers(self) -> Iterable[str | None]:
        """Of each entry, without making one."""
        owed, queued = self.published.owed, self.queued
        return {*owed, *queued} if queued else owed or _NOBODY

    def count_in(self, counts: TelemetryCounts) -> None:
        for subscriber in self.subscribers():
            counts.given[subscriber] += 1
            if self.delivered_at is not None and subscriber in self.delivered_at:
                counts.acknowledged[subscriber] += 1


def _bytes_of(event: Mapping[str, object]) -> int:
    return _ENTRY_BYTES + memory_of(event.get("record"))


class TelemetryLog:
    """Collects what happened to every event, in the order in which events came into being: the newest of them, as far
    as `max_bytes` of memory reach. The others are counted."""

    def __init__(self, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept_bytes = 0
        self._events: OrderedDict[int, _Event] = OrderedDict()
        self._left_out = TelemetryCounts()

    def published(self, effect: PublishEvent) -> None:
        event = _Event(effect, _bytes_of(effect.event))
        self._events[effect.event_id] = event
        self._grow(event.n_bytes)

    def queued(self, effect: QueueEvent) -> None:
        event = self._events.get(effect.event_id)
        if event is None:
            self._left_out.given[effect.subscriber] += 1
            return
        n_bytes = _bytes_of(effect.event)
        event.queued = event.queued or {}
        event.queued[effect.subscriber] = effect.event
        event.n_bytes += n_bytes
        self._grow(n_bytes)

    def confirmed(self, effect: ConfirmDelivery, now_ns: int) -> None:
        at = rfc3339_ms(now_ns / 1e9)
        for event_id in effect.event_ids:
            event = self._events.get(event_id)
            if event is None:
                self._left_out.acknowledged[effect.subscriber] += 1
            else:
                event.delivered_at = event.delivered_at or {}
                event.delivered_at[effect.subscriber] = at

    def entries(self) -> tuple[TelemetryEntry, ...]:
        """One entry for each event and subscriber, and one without a subscriber where there was none."""
        return tuple(entry for event in self._events.values() for entry in event.entries())

    def counts(self) -> TelemetryCounts:
        """Of all events, kept or not."""
        counts = TelemetryCounts()
        counts.given.update(self._left_out.given)
        counts.acknowledged.update(self._left_out.acknowledged)
        counts.n_left_out = counts.given.total()
        for event in self._events.values():
            event.count_in(counts)
        return counts

    def _grow(self, n_bytes: int) -> None:
        self._kept_bytes += n_bytes
        while self._kept_bytes > self._max_bytes and len(self._events) > 1:
            _, oldest = self._events.popitem(last=False)
            self._kept_bytes -= oldest.n_bytes
            oldest.count_in(self._left_out)


class NoTelemetryLog(TelemetryLog):
    """Where nobody asks."""

    def published(self, effect: PublishEvent) -> None:
        pass

    def queued(self, effect: QueueEvent) -> None:
        pass

    def confirmed(self, effect: ConfirmDelivery, now_ns: int) -> None:
        pass
