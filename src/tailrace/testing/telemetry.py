"""The telemetry that an environment has delivered, for tests to look at and to wait for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tailrace.emulator.telemetry.log import TelemetryEntry
from tailrace.testing.waiting import until

_PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class TelemetryEvent:
    """One event as one subscriber gets it, in the schema that it asked for.

    `subscriber` is None where nobody subscribed to the event's kind. `delivered_at` (RFC 3339) is None until the
    subscriber has acknowledged it.
    """

    type: str
    record: Any
    time: str
    subscriber: str | None
    delivered_at: str | None


class Telemetry:
    """The events that subscribers have acknowledged so far, in the order in which they came into being.

    It is a view: each look shows how things stand at that instant. What an environment still holds for a subscriber
    is delivered when its buffer's time has come, at the latest at shutdown; while the environment is frozen nothing is.
    """

    def __init__(self, read: Callable[[], Iterable[TelemetryEntry]], hint: Callable[[], str]) -> None:
        self._read = read
        self._hint = hint

    def __iter__(self) -> Iterator[TelemetryEvent]:
        return iter([event for event in self._all() if event.delivered_at is not None])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"<Telemetry {_counted(self)}>"

    @property
    def undelivered(self) -> list[TelemetryEvent]:
        """What is owed to a subscriber that has not acknowledged it: buffered, under way, dropped or given up."""
        return [event for event in self._all() if event.subscriber is not None and event.delivered_at is None]

    @property
    def unsubscribed(self) -> list[TelemetryEvent]:
        """What happened without anybody subscribed to its kind."""
        return [event for event in self._all() if event.subscriber is None]

    def of(self, type: str, subscriber: str | None = None) -> list[TelemetryEvent]:  # noqa: A002 - the event's own word
        """Delivered events of a type, to one subscriber or (None) to any.

        As in a subscription, ``platform`` stands for every ``platform.…``.
        """
        return [event for event in self if _is_of(event, type, subscriber)]

    def wait_for(
        self,
        type: str,  # noqa: A002 - the event's own word
        record: object = None,
        *,
        subscriber: str | None = None,
        timeout_s: float = 5.0,
    ) -> TelemetryEvent:
        """The first delivered event of the type whose record is the wanted one; waits until there is one.

        `record` is None for any; a function that is asked; a mapping whose members must be there, at every depth (there
        may be others); text that a line must contain; or the very value. Raises `ConditionNotMetError`, which says what
        came instead.
        """
        __tracebackhide__ = True

        def first() -> TelemetryEvent | None:
            found = (event for event in self.of(type, subscriber) if _is_wanted(event.record, record))
            return next(found, None)

        def explain() -> str:
            wanted = type if record is None else f"{type} with the record {record!r}"
            receiver = f" to {subscriber}" if subscriber else ""
            return f"no event {wanted} was delivered{receiver} within {timeout_s:g} s; {self._account()}"

        event = until(first, timeout_s, explain)
        assert event is not None
        return event

    def _all(self) -> list[TelemetryEvent]:
        return [
            TelemetryEvent(
                str(entry.event.get("type")),
                entry.event.get("record"),
                str(entry.event.get("time")),
                entry.subscriber,
                entry.delivered_at,
            )
            for entry in self._read()
        ]

    def _account(self) -> str:
        """Where the events are instead, for whoever waited in vain."""
        parts = [f"delivered: {_counted(self)}", f"not yet: {_counted(self.undelivered)}"]
        parts.append(f"nobody subscribed to: {_counted(self.unsubscribed)}")
        return "; ".join([*parts, *filter(None, [self._hint()])])


def _is_of(event: TelemetryEvent, wanted_type: str, subscriber: str | None) -> bool:
    if subscriber is not None and event.subscriber != subscriber:
        return False
    return event.type == wanted_type or (wanted_type == _PLATFORM and event.type.startswith(f"{_PLATFORM}."))


def _is_wanted(record: object, wanted: object) -> bool:
    if wanted is None:
        return True
    if callable(wanted):
        return bool(wanted(record))
    if isinstance(wanted, str) and isinstance(record, str):
        return wanted in record
    return _has(record, wanted)


def _has(value: object, wanted: object) -> bool:
    if not isinstance(wanted, Mapping):
        return value == wanted
    return isinstance(value, Mapping) and all(name in value and _has(value[name], wanted[name]) for name in wanted)


def _counted(events: Iterable[TelemetryEvent]) -> str:
    counts = Counter(event.type for event in events)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"
