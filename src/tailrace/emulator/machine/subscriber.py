"""One subscriber of telemetry: its buffer, its one request in flight, retries, and the count of what was dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tailrace.emulator.machine.effects import AbandonTelemetry, ConfirmDelivery, PostTelemetry
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.machine.stage import Stage
from tailrace.emulator.machine.telemetry_batch import Batch, Dropped, cut
from tailrace.emulator.machine.telemetry_event import TelemetryEvent
from tailrace.emulator.machine.telemetry_form import Form, framed
from tailrace.protocol.platform_events import LOGS_DROPPED, SLOW_CONSUMER, logs_dropped
from tailrace.protocol.telemetry_api import PLATFORM, TCP, Subscription

PLATFORM_RESERVE_BYTES = 1024 * 1024
CUT_FROM_BYTES = 1024
"""Less room than this is not worth a part of a cut record."""
FLUSH, RETRY, ATTEMPT = "telemetry-flush:", "telemetry-retry:", "telemetry-attempt:"


class Subscriber:
    """Buffers as lambda-platform.md 5.8 says: the event is added first, then the batch is closed when it is full.

    `publish` makes an event of a type and a record that is owed to this subscriber alone, and leaves adding it to it.
    """

    def __init__(
        self,
        name: str,
        subscription: Subscription,
        form: Form,
        stage: Stage,
        policy: Policy,
        deliveries: Callable[[], int],
        publish: Callable[[str, object, Subscriber], TelemetryEvent],
    ) -> None:
        self.name = name
        self.subscription = subscription
        self.form = form
        self.still = False
        self._stage = stage
        self._policy = policy
        self._deliveries = deliveries
        self._publish = publish
        self._open = Batch(form)
        self._closed: deque[Batch] = deque()
        self._is_due = False
        self._sent: Batch | None = None
        self._delivery: int | None = None
        self._attempts = 0
        self._n_bytes = 0
        self._dropped = Dropped()
        self._broken = ""
        self._take_limits()

    @property
    def is_flushed(self) -> bool:
        """Everything that was buffered at the last `flush` has been sent, and answered or given up."""
        return not (self._is_due or self._closed or self._sent)

    def resubscribe(self, subscription: Subscription, form: Form) -> None:
        """Take new settings; what is buffered goes out in the form it was buffered in."""
        self._close_batch()
        self._broken = ""
        self.subscription = subscription
        self.form = form
        self._open = Batch(form)
        self._take_limits()
        self._send_next()

    def wants(self, event: TelemetryEvent) -> bool:
        return event.category in self.subscription.types and self.form.has(event.type)

    def add(self, event: TelemetryEvent) -> None:
        """Buffer an event, or count it as dropped where memory is full."""
        part = event.encoded(self.form)
        n_bytes = len(part)
        if self._n_bytes + n_bytes > self._max_buffered_bytes and not self._may_exceed(event, n_bytes):
            self._dropped.add(1, n_bytes, SLOW_CONSUMER)
            return
        if n_bytes > self._max_bytes and self._policy.cut_oversized_records and self._is_text(event):
            part = self._send_beginning(part)
        batch = self._open
        if not batch.parts and not self._is_due:
            self._stage.set_timer(FLUSH + self.name, self.subscription.timeout_ms)
        batch.add(event, part)
        self._n_bytes += len(part)
        if len(batch.event_ids) >= self._max_items or batch.n_bytes >= self._max_bytes:
            self._close_batch()
        if self._sent is None:
            self._send_next()

    def missed(self, records: int, n_bytes: int) -> None:
        """Something was lost for this subscriber before it was one."""
        self._dropped.add(records, n_bytes, SLOW_CONSUMER)
        self._tell_dropped()

    def _take_limits(self) -> None:
        self._max_items = self.subscription.max_items
        self._max_bytes = self.subscription.max_bytes
        self._max_buffered_bytes = self._policy.telemetry_max_buffered_bytes

    def _may_exceed(self, event: TelemetryEvent, n_bytes: int) -> bool:
        """Lines never take the last of the memory: a subscriber that misses `runtimeDone` waits in vain for it."""
        if event.type == LOGS_DROPPED:
            return True
        room = self._max_buffered_bytes + PLATFORM_RESERVE_BYTES - self._n_bytes
        return event.category == PLATFORM and n_bytes <= room

    def _is_text(self, event: TelemetryEvent) -> bool:
        return event.line is not None and (event.is_plain or not self.form.has_objects)

    def _send_beginning(self, encoded: bytes) -> bytes:
        """Close batches with all of the event but its last part, which is returned."""
        room = self._max_bytes - self._open.n_bytes
        if room < CUT_FROM_BYTES:
            self._close_batch()
            room = self._max_bytes
        *beginnings, last = cut(encoded, room, self._max_bytes)
        for part in beginnings:
            self._open.add_beginning(part)
            self._n_bytes += len(part)
            self._close_batch()
        return last

    def flush(self) -> None:
        """Send what is buffered, a count of what was lost included, as soon as the request in flight is done."""
        self._tell_dropped()
        if self._open.parts:
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
        self._open = Batch(self.form)

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
        if not 200 <= status < (400 if self._policy.telemetry_redirect_acknowledges else 300):
            self._attempt_failed(f"status {status}" if status else error or "no answer")
            return
        batch = self._settle()
        self._stage.emit(ConfirmDelivery(self.name, tuple(batch.event_ids)))
        self._tell_dropped()
        self._send_next()

    def _close_batch(self) -> None:
        self._stage.cancel_timer(FLUSH + self.name)
        self._is_due = False
        if self._open.parts:
            self._closed.append(self._open)
            self._open = Batch(self.form)

    def _send_next(self) -> None:
        while self._sent is None and not self.still:
            if not self._closed and self._is_due:
                self._close_batch()
            if not self._closed:
                return
            self._sent = self._closed.popleft()
            self._attempts = 0
            self._send()

    def _send(self) -> None:
        if self._sent is None:
            return
        if self._broken:
            self._give_up(self._settle(), self._broken)
            return
        wanted, batch = self.subscription, self._sent
        self._attempts += 1
        self._delivery = self._deliveries()
        if wanted.protocol != TCP:  # nobody acknowledges there: a reader that takes its time is not one that is gone
            self._stage.set_timer(ATTEMPT + self.name, self._policy.telemetry_attempt_timeout_ms)
        uri = wanted.uri or f"tcp://sandbox.localdomain:{wanted.port}"
        body = framed(batch.parts, wanted.protocol)
        self._stage.emit(PostTelemetry(self._delivery, self.name, uri, body, tuple(batch.event_ids), wanted.method))

    def _attempt_failed(self, reason: str) -> None:
        self._delivery = None
        delays = self._policy.telemetry_retry_delays_ms
        if self.subscription.protocol == TCP and not self._policy.telemetry_tcp_reconnects:
            self._broken = f"could not send events: {reason}"
        elif self._attempts <= len(delays):
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
        """The caller goes on with the next one."""
        if batch.lose(self._dropped, reason):
            self._tell_dropped()

    def _tell_dropped(self) -> None:
        dropped = self._dropped
        if not dropped.records or PLATFORM not in self.subscription.types:
            return
        self._dropped = Dropped()
        record = logs_dropped(dropped.reason, dropped.records, dropped.n_bytes)
        self.add(self._publish(LOGS_DROPPED, record, self))
