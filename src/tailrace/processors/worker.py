"""From telemetry bodies to records at every destination's door. One thread, so that order is kept."""

from __future__ import annotations

from tailrace.model.record import Record
from tailrace.pipeline.intake import Oversized
from tailrace.pipeline.ledger import BODY_TOO_LARGE, INTERNAL_ERROR, UNPARSABLE
from tailrace.processors.own_lines import is_own_line
from tailrace.protocol.events import split_events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tailrace.pipeline.fanout import Fanout
    from tailrace.pipeline.intake import Intake
    from tailrace.pipeline.interfaces import Diagnostics
    from tailrace.pipeline.ledger import Ledger
    from tailrace.pipeline.progress import Progress
    from tailrace.pipeline.sending.exporter import Exporter
    from tailrace.pipeline.spooling.account import Account
    from tailrace.processors.attribute import Attributor
    from tailrace.processors.mask import Masker
    from tailrace.processors.stitch import Stitcher

CATEGORIES = ("platform", "function", "extension")
RUNTIME_DONE = "platform.runtimeDone"
REPORT = "platform.report"
LOGS_DROPPED = "platform.logsDropped"
_TOLD = (RUNTIME_DONE, REPORT, LOGS_DROPPED)

# Records handed over at once: a sender need not wait for all of a large body.
_GROUP = 250


class Worker:
    """Splits, numbers, attributes, filters, fans out, and tells `progress` what it saw.

    `wanted` holds the categories to deliver (of `CATEGORIES`); an event of no known category is delivered. `masker`
    changes records before anything behind the worker sees them.
    """

    __slots__ = (
        "_account",
        "_attributor",
        "_diagnostics",
        "_fanout",
        "_intake",
        "_ledger",
        "_masker",
        "_progress",
        "_stitcher",
        "_unwanted",
    )

    def __init__(
        self,
        intake: Intake,
        fanout: Fanout,
        ledger: Ledger,
        attributor: Attributor,
        progress: Progress,
        wanted: Collection[str],
        diagnostics: Diagnostics,
        account: Account | None = None,
        masker: Masker | None = None,
    ) -> None:
        self._masker = masker
        self._account = account
        self._intake = intake
        self._fanout = fanout
        self._ledger = ledger
        self._attributor = attributor
        self._progress = progress
        self._unwanted = frozenset(c for c in CATEGORIES if c not in wanted)
        self._diagnostics = diagnostics
        self._stitcher: Stitcher | None = None  # made, and loaded, with the first body that is cut

    def run(self) -> None:
        """Until the intake is closed and empty."""
        while (body := self._intake.take()) is not None:
            self.process(body.content, body.promised)
        try:
            self._give_up_cut()
            if self._masker is not None:
                self._masker.tell(self._diagnostics)
        finally:
            self._progress.processed()  # what the intake admitted last: its end

    def process(self, body: bytes | Oversized, promised: Sequence[Exporter] = ()) -> None:
        """One body, to its end, whatever is in it. `promised` are the destinations that have room for its records."""
        told: list[Record] = []
        try:
            if isinstance(body, Oversized):
                self._give_up_cut()
                self._lose(BODY_TOO_LARGE, "telemetry body is too large and was not kept", body.n_bytes)
            else:
                self._take(body, told, promised)
        finally:
            # only now: whoever waits for the end of an invocation wants all that came with it
            for record in told:
                self._tell(record)
            if self._account is not None:
                holds = self._stitcher is not None and self._stitcher.held_bytes > 0
                self._account.processed(self._fanout.received + holds)
            self._progress.processed()

    def _take(self, body: bytes, told: list[Record], promised: Sequence[Exporter]) -> None:
        if self._stitcher is not None:
            body, given_up_bytes = self._stitcher.join(body)
            self._give_up(given_up_bytes)
        try:
            split = split_events(body)
        except BaseException:
            self._fanout.drop(1, INTERNAL_ERROR)  # how many records it held nobody knows now
            raise
        first = self._ledger.next_seqs(len(split.events))
        stamp, masker = self._attributor.stamp, self._masker
        takes_function = "function" not in self._unwanted
        self._begin_body()
        wanted: list[Record] = []
        unwanted = 0
        for seq, event in enumerate(split.events, first):
            record = Record(seq, event.time, event.type, event.value, event.raw)
            try:
                stamp(record)
                # most are the function's
                is_wanted = takes_function if record.type == "function" else self._is_wanted(record)
                if is_wanted and masker is not None:
                    masker.mask(record)
            except Exception as error:  # noqa: BLE001 - a fault of ours may cost this event, not its neighbours
                self._fanout.drop(1, INTERNAL_ERROR)
                self._diagnostics("error", "event could not be processed", reason=type(error).__name__)
                continue
            if is_wanted:
                wanted.append(record)
            else:
                unwanted += 1
            if event.type in _TOLD:
                told.append(record)
        if unwanted:
            self._fanout.filter(unwanted)
        self._offer(wanted, promised)
        if split.unparsable_bytes and not self._hold(body):
            self._lose(UNPARSABLE, "telemetry body is not JSON from some place on", split.unparsable_bytes)

    def _begin_body(self) -> None:
        """Patterns have time anew."""
        self._fanout.begin_body()
        if self._masker is not None:
            self._masker.begin_body()

    def _is_wanted(self, record: Record) -> bool:
        return record.type.partition(".")[0] not in self._unwanted and not is_own_line(record)

    def _offer(self, records: list[Record], promised: Sequence[Exporter]) -> None:
        begin = 0
        try:
            while begin < len(records):
                group = records[begin : begin + _GROUP]
                begin += len(group)
                self._fanout.offer(group, promised)
        except BaseException:
            self._fanout.drop(len(records) - begin, INTERNAL_ERROR)
            raise

    def _hold(self, body: bytes) -> bool:
        """Whether its end is the beginning of a record that was cut: it waits for the next body then."""
        if self._stitcher is None:
            from tailrace.processors.stitch import Stitcher

            self._stitcher = Stitcher()
        return self._stitcher.hold(body)

    def _give_up_cut(self) -> None:
        if self._stitcher is not None:
            self._give_up(self._stitcher.give_up())

    def _give_up(self, n_bytes: int) -> None:
        """The beginning of a cut record, whose rest did not come."""
        if n_bytes:
            self._lose(UNPARSABLE, "a cut record came without its rest", n_bytes)

    def _lose(self, reason: str, message: str, n_bytes: int) -> None:
        self._fanout.drop(1, reason)
        self._diagnostics("warn", message, reason=reason, bytes=n_bytes)

    def _tell(self, record: Record) -> None:
        if record.type == LOGS_DROPPED:
            self._tell_of_loss(record.event)
        elif record.request_id is not None and record.type == RUNTIME_DONE:
            self._progress.invocation_done(record.request_id)
            if self._progress.leave_when_done:
                self._fanout.request_flush()
        elif record.request_id is not None:
            self._progress.report_seen(record.request_id)

    def _tell_of_loss(self, event: object) -> None:
        """The platform lost records before they came here (lambda-platform.md 5.9)."""
        record = event.get("record") if isinstance(event, dict) else None
        n = record.get("droppedRecords") if isinstance(record, dict) else None
        if isinstance(n, int) and 0 < n < 1 << 62:
            self._ledger.lost_by_platform(n)
            self._progress.lost()
            self._diagnostics("warn", "the platform dropped telemetry before it came here", droppedRecords=n)
