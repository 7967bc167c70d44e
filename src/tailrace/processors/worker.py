"""From telemetry bodies to records at every destination's door. One thread, so that order is kept."""

from __future__ import annotations

from tailrace.model.record import Record
from tailrace.pipeline.intake import Oversized
from tailrace.pipeline.ledger import BODY_TOO_LARGE, INTERNAL_ERROR, UNPARSABLE
from tailrace.processors.own_lines import is_own_line
from tailrace.protocol.events import split_events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from tailrace.pipeline.fanout import Fanout
    from tailrace.pipeline.intake import Intake
    from tailrace.pipeline.interfaces import Diagnostics
    from tailrace.pipeline.ledger import Ledger
    from tailrace.pipeline.progress import Progress
    from tailrace.processors.attribute import Attributor
    from tailrace.protocol.events import Event

CATEGORIES = ("platform", "function", "extension")


class Worker:
    """Splits, numbers, attributes, filters, fans out, and tells `progress` what it saw.

    `wanted` holds the categories to deliver (of `CATEGORIES`); an event of no known category is delivered.
    """

    __slots__ = ("_attributor", "_diagnostics", "_fanout", "_intake", "_ledger", "_progress", "_unwanted")

    def __init__(
        self,
        intake: Intake,
        fanout: Fanout,
        ledger: Ledger,
        attributor: Attributor,
        progress: Progress,
        wanted: Collection[str],
        diagnostics: Diagnostics,
    ) -> None:
        self._intake = intake
        self._fanout = fanout
        self._ledger = ledger
        self._attributor = attributor
        self._progress = progress
        self._unwanted = frozenset(c for c in CATEGORIES if c not in wanted)
        self._diagnostics = diagnostics

    def run(self) -> None:
        """Until the intake is closed and empty."""
        while (body := self._intake.take()) is not None:
            self.process(body)

    def process(self, body: bytes | Oversized) -> None:
        """One body, to its end, whatever is in it."""
        seen: list[Record] = []
        try:
            if isinstance(body, Oversized):
                self._lose(BODY_TOO_LARGE, "telemetry body is too large and was not kept", body.n_bytes)
            else:
                self._take(body, seen)
        finally:
            # only now: whoever waits for the end of an invocation wants all that came with it
            self._tell(seen)
            self._progress.processed()

    def _take(self, body: bytes, seen: list[Record]) -> None:
        split = split_events(body)
        for event in split.events:
            try:
                record = self._admit(event)
            except Exception as error:  # noqa: BLE001 - a fault of ours may cost this event, not its neighbours
                self._fanout.drop(1, INTERNAL_ERROR)
                self._diagnostics("error", "event could not be processed", reason=type(error).__name__)
            else:
                if record.request_id is not None and record.type in _TOLD:
                    seen.append(record)
        if split.unparsable_bytes:
            self._lose(UNPARSABLE, "telemetry body is not JSON from some place on", split.unparsable_bytes)

    def _admit(self, event: Event) -> Record:
        record = Record(self._ledger.next_seq(), event.time, event.type, event.value, event.raw)
        self._attributor.stamp(record)
        if event.type.partition(".")[0] in self._unwanted or is_own_line(record):
            self._fanout.filter()
        else:
            self._fanout.offer(record)
        return record

    def _lose(self, reason: str, message: str, n_bytes: int) -> None:
        self._fanout.drop(1, reason)
        self._diagnostics("warn", message, reason=reason, bytes=n_bytes)

    def _tell(self, seen: list[Record]) -> None:
        for record in seen:
            assert record.request_id is not None
            if record.type == "platform.runtimeDone":
                self._progress.invocation_done(record.request_id)
            else:
                self._progress.report_seen(record.request_id)


_TOLD = ("platform.runtimeDone", "platform.report")
