"""All subscribers of telemetry, and what is kept for those that come later (lambda-platform.md 5, 7)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from tailrace.emulator.machine.effects import PublishEvent, QueueEvent
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.machine.stage import Stage
from tailrace.emulator.machine.subscriber import ATTEMPT, FLUSH, RETRY, Subscriber
from tailrace.emulator.machine.telemetry_backlog import Backlog
from tailrace.emulator.machine.telemetry_event import TelemetryEvent, category_of, object_event
from tailrace.emulator.machine.telemetry_form import NEWEST, Forms
from tailrace.protocol.telemetry_api import Subscription


class Audience(NamedTuple):
    """Who gets events of one type. `plain` and `newest` name those that get a plain line, or any other event, in the
    very form in which it is published."""

    subscribers: tuple[Subscriber, ...]
    plain: tuple[str, ...]
    newest: tuple[str, ...]


class Telemetry:
    """Makes events and hands them to whom they belong. `heard` is told of the platform's, subscribed to or not."""

    def __init__(self, stage: Stage, policy: Policy, heard: Callable[[TelemetryEvent], None]) -> None:
        self._stage = stage
        self._policy = policy
        self._heard = heard
        self._forms = Forms(policy)
        self._event_ids = itertools.count(1)
        self._deliveries = itertools.count(1)
        self._subscribers: dict[str, Subscriber] = {}
        self._audiences: dict[str, Audience] = {}
        self._backlog = Backlog(policy.telemetry_max_backlog_bytes)
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

    def forget_subscribers(self) -> None:
        for name in tuple(self._subscribers):
            self.forget(name)
        self.close_window()

    def forget(self, name: str) -> None:
        """The subscriber's process has ended: nobody listens any more."""
        subscriber = self._subscribers.pop(name, None)
        if subscriber is not None:
            self._audiences.clear()
            subscriber.forget()

    def subscription_of(self, name: str) -> Subscription | None:
        """What an extension has subscribed to, by whichever API."""
        subscriber = self._subscribers.get(name)
        return None if subscriber is None else subscriber.subscription

    def subscribe(self, name: str, subscription: Subscription) -> None:
        """Add a subscriber, or give it new settings. It gets what the same init has told so far and it asked for."""
        form = self._forms.of(subscription.schema_version)
        subscriber = self._subscribers.get(name)
        already: tuple[str, ...] = ()
        if subscriber is None:
            subscriber = Subscriber(
                name, subscription, form, self._stage, self._policy, lambda: next(self._deliveries), self._make_for
            )
            subscriber.still = self._still
            self._subscribers[name] = subscriber
        else:
            already = subscriber.subscription.types
            subscriber.resubscribe(subscription, form)
        self._audiences.clear()
        self._tell_earlier(subscriber, already)

    def _tell_earlier(self, subscriber: Subscriber, already: tuple[str, ...]) -> None:
        for event in self._backlog.events:
            if subscriber.wants(event) and event.category not in already:
                self._queue(event, subscriber)
                subscriber.add(event)
        missed = self._backlog.lost(tuple(kind for kind in subscriber.subscription.types if kind not in already))
        if missed.records:
            subscriber.missed(missed.records, missed.n_bytes)

    def platform(self, type_: str, record: object) -> None:
        event = self._event(type_, record)
        self._heard(event)
        self._hand_out(event)

    def to_subscribers(self, type_: str, record: object) -> None:
        """Tell an event that is none where nobody is subscribed to it: those that only the Logs API has."""
        if self._audience(type_).subscribers:
            self._hand_out(self._event(type_, record))

    def plain_line(self, type_: str, text: str) -> None:
        """A line that a process wrote: `type_` is ``function`` or ``extension``."""
        self._hand_out(TelemetryEvent(next(self._event_ids), self._stage.time_text(), type_, text, text))

    def json_line(self, type_: str, text: str, found: dict[str, object] | None, request_id: str | None) -> None:
        """A line under the JSON log format; `found` is the object that it is, if it is one."""
        time = self._stage.time_text()
        self._hand_out(object_event(next(self._event_ids), time, type_, text, found, request_id))

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

    def _event(self, type_: str, record: object) -> TelemetryEvent:
        return TelemetryEvent(next(self._event_ids), self._stage.time_text(), type_, record)

    def _make_for(self, type_: str, record: object, subscriber: Subscriber) -> TelemetryEvent:
        """An event that only one subscriber gets: a count of what it lost."""
        event = self._event(type_, record)
        owed = (subscriber.name,)
        self._stage.emit(PublishEvent(event.event_id, event.mapping(NEWEST), owed))
        self._heard(event)
        return event

    def _hand_out(self, event: TelemetryEvent) -> None:
        audience = self._audience(event.type)
        owed = audience.plain if event.is_plain else audience.newest
        self._stage.emit(PublishEvent(event.event_id, event.mapping(NEWEST), owed))
        if self.window_is_open:
            self._backlog.keep(event)
        for subscriber in audience.subscribers:
            if subscriber.name not in owed:
                self._queue(event, subscriber)
            subscriber.add(event)

    def _queue(self, event: TelemetryEvent, subscriber: Subscriber) -> None:
        self._stage.emit(QueueEvent(subscriber.name, event.event_id, event.mapping(subscriber.form)))

    def _audience(self, type_: str) -> Audience:
        return self._audiences.get(type_) or self._find_audience(type_)

    def _find_audience(self, type_: str) -> Audience:
        category = category_of(type_)
        found = [
            subscriber
            for subscriber in self._subscribers.values()
            if category in subscriber.subscription.types and subscriber.form.has(type_)
        ]
        audience = self._audiences[type_] = Audience(
            tuple(found),
            tuple(subscriber.name for subscriber in found if not subscriber.form.keeps_newline),
            tuple(subscriber.name for subscriber in found if subscriber.form is NEWEST),
        )
        return audience
