"""What a subscriber is owed: events on their way together, and the count of those that got lost."""

from __future__ import annotations

from tailrace.emulator.machine.telemetry_event import TelemetryEvent
from tailrace.emulator.machine.telemetry_form import Form
from tailrace.protocol.platform_events import LOGS_DROPPED, SLOW_CONSUMER


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


class Batch:
    """Events in one form. `n_bytes` is that of their JSON, without commas and brackets (lambda-platform.md 5.8).

    `counts` are the records and bytes that its `platform.logsDropped` tell of.
    """

    __slots__ = ("counts", "event_ids", "form", "n_bytes", "parts")

    def __init__(self, form: Form) -> None:
        self.form = form
        self.event_ids: list[int] = []
        self.parts: list[bytes] = []
        self.n_bytes = 0
        self.counts: list[tuple[int, int, int]] = []

    def add(self, event: TelemetryEvent, part: bytes) -> None:
        """The whole event, or what is left of one whose beginning was in the batches before."""
        if event.type == LOGS_DROPPED and isinstance(event.record, dict):
            self.counts.append((event.record["droppedRecords"], event.record["droppedBytes"], len(part)))
        self.event_ids.append(event.event_id)
        self.parts.append(part)
        self.n_bytes += len(part)

    def add_beginning(self, part: bytes) -> None:
        """A record that goes on in the next batch."""
        self.parts.append(part)
        self.n_bytes += len(part)

    def lose(self, dropped: Dropped, reason: str) -> bool:
        """Count the batch as lost; whether it held more than counts of earlier losses.

        A lost count is counted again, but not for its own sake: that would never end.
        """
        records, n_bytes = len(self.event_ids) - len(self.counts), self.n_bytes
        for lost_records, lost_bytes, own_bytes in self.counts:
            dropped.add(lost_records, lost_bytes, reason)
            n_bytes -= own_bytes
        if records or n_bytes:
            dropped.add(records, n_bytes, reason)
        return bool(records)


def cut(encoded: bytes, room: int, max_bytes: int) -> list[bytes]:
    """An oversized record as the service was seen to send it: cut in the middle, each part in an envelope of its own,
    all but the last without the end of the text (lambda-platform.md 5.10). The first part fills `room`."""
    head = encoded[: encoded.index(b'"record":"') + len(b'"record":"')]
    text = encoded[len(head) : -2]
    parts = []
    first = max(room - len(head) - 1, 1)
    size = max(max_bytes - len(head) - 1, 1)
    at = first
    parts.append(head + text[:first] + b"}")
    while len(text) - at > size:
        parts.append(head + text[at : at + size] + b"}")
        at += size
    return [*parts, head + text[at:] + b'"}']
