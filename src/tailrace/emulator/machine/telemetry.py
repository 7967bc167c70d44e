"""All subscribers of telemetry, and what is kept for those that come later (lambda-platform.md 5)."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from tailrace.emulator.machine.effects import PublishEvent
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.machine.stage import Stage
from tailrace.emulator.machine.subscriber import ATTEMPT, FLUSH, RETRY, Subscriber
from tailrace.emulator.machine.telemetry_event import TelemetryEvent, line_event
from tailrace.protocol.telemetry_api import SCHEMA_2025_01_29, Subscription


class Telemetry:
    """Makes events and hands them to whom they belong. `heard` is told of every event, subscribed to or not."""

    def __init__(self, stage: Stage, policy: Policy, heard: Callable[[TelemetryEvent], None]) -> None:
        self._stage = stage
        self._policy = policy
        self._heard = heard
        self._event_ids = itertools.count(1)
        self._deliveries = itertools.count(1)
        self._subscribers: dict[str, Subscriber] = {}
        self._backlog: list[TelemetryEvent] = []
        self._backlog_bytes = 0
        self._still = False
        self.window_is_open = False

    @property
    def is_flushed(self) -> bool:
        return all(subscriber.is_flushed for subscriber in self._subscribers.values())

    def open_window(self) -> None:
        """A new init generation begins: earlier subscriptions do not hold any more (lambda-platform.md 4.6)."""
        self.forget_subscribers()
        self.window_is_open = True

    def close_window(self) -> None:
        self.window_is_open = False
        self._backlog.clear()
        self._backlog_bytes = 0

    def forget_subscribers(self) -> None:
        for subscriber in self._subscribers.values():
            subscriber.forget()
        self._subscribers.clear()
        self.close_window()

    def forget(self, name: str) -> None:
        """The subscriber's process has ended: nobody listens any more."""
        subscriber = self._subscribers.pop(name, None)
        if subscriber is not None:
            subscriber.forget()

    def subscribe(self, name: str, subscription: Subscription) -> None:
        """Add a subscriber, or give it new settings. It gets what the same init has told so far and it asked for."""
        subscriber = self._subscribers.get(name)
        already: tuple[str, ...] = ()
        if subscriber is None:
            subscriber = Subscriber(
                name, subscription, self._stage, self._policy, lambda: next(self._deliveries), self._make
            )
            subscriber.still = self._still
            self._subscribers[name] = subscriber
        else:
            already = subscriber.subscription.types
            subscriber.resubscribe(subscription)
        for event in tuple(self._backlog):
            if subscriber.wants(event) and event.category not in already:
                subscriber.add(event)

    def platform(self, type_: str, record: object) -> None:
        self._hand_out(self._make(type_, record))

    def line(self, type_: str, text: str, json_format: bool, request_id: str | None) -> None:
        """A line that a process wrote: `type_` is ``function`` or ``extension``."""
        time = self._stage.time_text()
        event = line_event(next(self._event_ids), time, type_, text, json_format, request_id)
        self._announce(event)
        self._hand_out(event)

    def timer_fired(self, timer: str) -> bool:
        """Whether `timer` is one of telemetry's."""
        for kind in (FLUSH, RETRY, ATTEMPT):
            if timer.startswith(kind):
                subscriber = self._subscribers.get(timer[len(kind) :])
                if subscriber is not None:
                    subscriber.timer_fired(kind)
                return True
        return False

    def answered(self, delivery: int, status: int, error: str) -> None:
        for subscriber in self._subscribers.values():
            subscriber.answered(delivery, status, error)

    def flush(self) -> None:
        for subscriber in self._subscribers.values():
            subscriber.flush()

    def stand_still(self) -> None:
        """The environment is frozen: a delivery started now could not be answered."""
        self._still = True
        for subscriber in self._subscribers.values():
            subscriber.stand_still()

    def go_on(self) -> None:
        self._still = False
        for subscriber in self._subscribers.values():
            subscriber.go_on()

    def _make(self, type_: str, record: object) -> TelemetryEvent:
        event = TelemetryEvent(next(self._event_ids), self._stage.time_text(), type_, record)
        self._announce(event)
        return event

    def _announce(self, event: TelemetryEvent) -> None:
        self._stage.emit(PublishEvent(event.event_id, event.mapping(SCHEMA_2025_01_29)))
        self._heard(event)

    def _hand_out(self, event: TelemetryEvent) -> None:
        if self.window_is_open:
            self._keep(event)
        for subscriber in self._subscribers.values():
            if subscriber.wants(event):
                subscriber.add(event)

    def _keep(self, event: TelemetryEvent) -> None:
        n_bytes = len(event.encoded(SCHEMA_2025_01_29))
        if self._backlog_bytes + n_bytes <= self._policy.telemetry_max_backlog_bytes:
            self._backlog.append(event)
            self._backlog_bytes += n_bytes
