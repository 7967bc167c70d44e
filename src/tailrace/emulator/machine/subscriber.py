"""One subscriber of telemetry: its buffer, its one request in flight, retries, and the count of what was dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tailrace.emulator.machine.effects import AbandonTelemetry, ConfirmDelivery, PostTelemetry, QueueEvent
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.machine.stage import Stage
from tailrace.emulator.machine.telemetry_event import TelemetryEvent
from tailrace.protocol.platform_events import LOGS_DROPPED, SLOW_CONSUMER, exists_in, logs_dropped
from tailrace.protocol.telemetry_api import PLATFORM, Subscription

PLATFORM_RESERVE_BYTES = 1024 * 1024
FLUSH, RETRY, ATTEMPT = "telemetry-flush:", "telemetry-retry:", "telemetry-attempt:"


class Batch:
    """Events on their way together, in the form of one schema."""

    __slots__ = ("events", "n_bytes", "parts", "schema_version")

    def __init__(self, schema_version: str) -> None:
        self.schema_version = schema_version
        self.events: list[TelemetryEvent] = []
        self.parts: list[bytes] = []
        self.n_bytes = 0

    def add(self, event: TelemetryEvent) -> None:
        part = event.encoded(self.schema_version)
        self.events.append(event)
        self.parts.append(part)
        self.n_bytes += len(part)

    def body(self) -> bytes:
        return b"[" + b",".join(self.parts) + b"]"

    def event_ids(self) -> tuple[int, ...]:
        return tuple(event.event_id for event in self.events)


class Dropped:
    """True counts of what is lost and not yet told."""

    __slots__ = ("n_bytes", "reason", "records")

    def __init__(self) -> None:
        self.records = 0
        self.n_bytes = 0
        self.reason = SLOW_CONSUMER

    def add(self, records: int, n_bytes: int, reason: str) -> None:
        self.records += records
        self.n_bytes += n_bytes
        self.reason = reason


class Subscriber:
    """Buffers as lambda-platform.md 5.8 says: the event is added first, then the batch is closed when it is full.

    `publish` makes an event of a type and a record without handing it to any subscriber.
    """

    def __init__(
        self,
        name: str,
        subscription: Subscription,
        stage: Stage,
        policy: Policy,
        deliveries: Callable[[], int],
        publish: Callable[[str, object], TelemetryEvent],
    ) -> None:
        self.name = name
        self.subscription = subscription
        self.still = False
        self._stage = stage
        self._policy = policy
        self._deliveries = deliveries
        self._publish = publish
        self._open = Batch(subscription.schema_version)
        self._closed: deque[Batch] = deque()
        self._is_due = False
        self._sent: Batch | None = None
        self._delivery: int | None = None
        self._attempts = 0
        self._n_bytes = 0
        self._dropped = Dropped()

    @property
    def is_flushed(self) -> bool:
        """Everything that was buffered at the last `flush` has been sent, and answered or given up."""
        return not (self._is_due or self._closed or self._sent)

    def resubscribe(self, subscription: Subscription) -> None:
        """Take new settings; what is buffered goes out in the form it was buffered in."""
        self._close_batch()
        self.subscription = subscription
        self._open = Batch(subscription.schema_version)
        self._send_next()

    def wants(self, event: TelemetryEvent) -> bool:
        return event.category in self.subscription.types and exists_in(event.type, self.subscription.schema_version)

    def add(self, event: TelemetryEvent) -> None:
        """Buffer an event, or count it as dropped where memory is full."""
        version = self.subscription.schema_version
        self._stage.emit(QueueEvent(self.name, event.event_id, event.mapping(version)))
        n_bytes = len(event.encoded(version))
        if event.type != LOGS_DROPPED and self._n_bytes + n_bytes > self._limit(event):
            self._dropped.add(1, n_bytes, SLOW_CONSUMER)
            return
        if not self._open.events and not self._is_due:
            self._stage.set_timer(FLUSH + self.name, self.subscription.timeout_ms)
        self._open.add(event)
        self._n_bytes += n_bytes
        limits = self.subscription
        if len(self._open.events) >= limits.max_items or self._open.n_bytes >= limits.max_bytes:
            self._close_batch()
        self._send_next()

    def _limit(self, event: TelemetryEvent) -> int:
        """Lines never take the last of the memory: a subscriber that misses `runtimeDone` waits in vain for it."""
        limit = self._policy.telemetry_max_buffered_bytes
        return limit + PLATFORM_RESERVE_BYTES if event.category == PLATFORM else limit

    def flush(self) -> None:
        """Send what is buffered as soon as the request in flight is done."""
        if self._open.events:
            self._is_due = True
            self._stage.cancel_timer(FLUSH + self.name)
            self._send_next()

    def stand_still(self) -> None:
        """Start no delivery until `go_on`."""
        self.still = True

    def go_on(self) -> None:
        self.still = False
        self._send_next()

    def forget(self) -> None:
        """Drop everything: the subscriber is gone."""
        for kind in (FLUSH, RETRY, ATTEMPT):
            self._stage.cancel_timer(kind + self.name)
        if self._delivery is not None:
            self._stage.emit(AbandonTelemetry(self._delivery))
        self._delivery = self._sent = None
        self._closed.clear()
        self._open = Batch(self.subscription.schema_version)

    def timer_fired(self, kind: str) -> None:
        if kind == FLUSH:
            self._is_due = True
            self._send_next()
        elif kind == RETRY:
            self._send()
        elif self._delivery is not None:
            self._stage.emit(AbandonTelemetry(self._delivery))
            self._attempt_failed(f"no answer within {self._policy.telemetry_attempt_timeout_ms} ms")

    def answered(self, delivery: int, status: int, error: str) -> None:
        """The outcome of a delivery; news of one that was abandoned is ignored."""
        if delivery != self._delivery or self._sent is None:
            return
        self._stage.cancel_timer(ATTEMPT + self.name)
        if not 200 <= status < 300:
            self._attempt_failed(f"status {status}" if status else error or "no answer")
            return
        batch = self._settle()
        self._stage.emit(ConfirmDelivery(self.name, batch.event_ids()))
        self._tell_dropped()
        self._send_next()

    def _close_batch(self) -> None:
        self._stage.cancel_timer(FLUSH + self.name)
        self._is_due = False
        if self._open.events:
            self._closed.append(self._open)
            self._open = Batch(self.subscription.schema_version)

    def _send_next(self) -> None:
        if self._sent is not None or self.still:
            return
        if not self._closed and self._is_due:
            self._close_batch()
        if self._closed:
            self._sent = self._closed.popleft()
            self._attempts = 0
            self._send()

    def _send(self) -> None:
        if self._sent is None:
            return
        self._attempts += 1
        self._delivery = self._deliveries()
        self._stage.set_timer(ATTEMPT + self.name, self._policy.telemetry_attempt_timeout_ms)
        uri, batch = self.subscription.uri, self._sent
        self._stage.emit(PostTelemetry(self._delivery, self.name, uri, batch.body(), batch.event_ids()))

    def _attempt_failed(self, reason: str) -> None:
        self._delivery = None
        delays = self._policy.telemetry_retry_delays_ms
        if self._attempts <= len(delays):
            self._stage.set_timer(RETRY + self.name, delays[self._attempts - 1])
            return
        self._give_up(self._settle(), f"could not send events: {reason}")
        self._send_next()

    def _settle(self) -> Batch:
        batch = self._sent
        assert batch is not None
        self._sent = self._delivery = None
        self._n_bytes -= batch.n_bytes
        return batch

    def _give_up(self, batch: Batch, reason: str) -> None:
        """Count the batch. A lost count is counted again, but never told for its own sake: that would never end."""
        lost_more = False
        for event, part in zip(batch.events, batch.parts, strict=True):
            if event.type != LOGS_DROPPED:
                self._dropped.add(1, len(part), reason)
                lost_more = True
            elif isinstance(event.record, dict):
                self._dropped.add(event.record["droppedRecords"], event.record["droppedBytes"], reason)
        if lost_more:
            self._tell_dropped()

    def _tell_dropped(self) -> None:
        dropped = self._dropped
        if not dropped.records or PLATFORM not in self.subscription.types:
            return
        self._dropped = Dropped()
        self.add(self._publish(LOGS_DROPPED, logs_dropped(dropped.reason, dropped.records, dropped.n_bytes)))
