"""The ledger for machines: as metrics on standard output, and as a final record at every destination, where asked for.

Metrics are lines in CloudWatch's embedded metric format: whatever reads a function's log there makes metrics of them,
and everything else finds one JSON object a line. Nothing is sent for them.
"""

from __future__ import annotations

from tailrace.agent.diagnostics import as_line
from tailrace.clock import rfc3339_ms
from tailrace.model.record import Record
from tailrace.protocol.jsontext import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.clock import Clock
    from tailrace.model.resource import Resource
    from tailrace.pipeline.fanout import Fanout
    from tailrace.pipeline.ledger import Ledger, RowSnapshot

METRICS_TYPE = "tailrace.metrics"
RECORD_TYPE = "tailrace.ledger"
NAMESPACE = "Tailrace"
INTERVAL_S = 60.0
# Counts since the line before, then what is as it is at this moment.
COUNTED = (
    "received", "delivered", "filtered", "sampled", "rejected", "dropped", "deadLettered", "resentUnconfirmed",
)  # fmt: skip
HELD, AGE = "held", "ageP95Ms"


class LedgerExport:
    """`words` say what is wanted: ``metrics``, ``record``. Belongs to the thread that handles events."""

    __slots__ = ("_before", "_clock", "_due_s", "_fanout", "_ledger", "_resource", "_words", "_write")

    def __init__(
        self,
        words: tuple[str, ...],
        ledger: Ledger,
        fanout: Fanout,
        resource: Resource,
        clock: Clock,
        write: Callable[[bytes], None],
    ) -> None:
        self._words = words
        self._ledger = ledger
        self._fanout = fanout
        self._resource = resource
        self._clock = clock
        self._write = write
        # What a former process of this environment counted has been told, or is in its last line.
        self._before = {name: _counts(row) for name, row in ledger.snapshot().items()}
        self._due_s = clock.monotonic_s() + INTERVAL_S

    def event_came(self) -> None:
        """An event is about to be handled: a good moment, for the function is at work and nobody waits."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._due_s:
            self._due_s = now_s + INTERVAL_S
            self.write_metrics()

    def write_metrics(self) -> None:
        """One line for each row of the ledger."""
        if "metrics" not in self._words:
            return
        timestamp_ms = int(self._clock.wall_s() * 1000)
        for name, row in self._ledger.snapshot().items():
            counts = _counts(row)
            before = self._before.get(name, {})
            self._before[name] = counts
            new = {metric: counts[metric] - before.get(metric, 0) for metric in COUNTED}
            if any(new.values()) or row.held:
                self._write(as_line(metrics_object(self._resource, name, row, new, timestamp_ms)))

    def offer_record(self) -> None:
        """The ledger as it stands becomes the last record that destinations get. It does not count itself."""
        if "record" not in self._words:
            return
        rows = self._ledger.line_object()
        del rows["type"]
        time = rfc3339_ms(self._clock.wall_s())
        event: dict[str, object] = {"time": time, "type": RECORD_TYPE, "record": rows}
        record = Record(self._ledger.next_seqs(1), time, RECORD_TYPE, event, dumps(event))
        self._fanout.offer_own(record)


def metrics_object(
    resource: Resource, destination: str, row: RowSnapshot, new: dict[str, int], timestamp_ms: int
) -> dict[str, object]:
    """A line of metrics. `type` comes first: it is how the agent knows its own lines."""
    values: dict[str, object] = {**new, HELD: row.held}
    metrics: list[object] = [{"Name": name, "Unit": "Count"} for name in values]
    if row.ages.n:
        values[AGE] = row.ages.quantile_ms(0.95)
        metrics.append({"Name": AGE, "Unit": "Milliseconds"})
    directive = {"Namespace": NAMESPACE, "Dimensions": [["functionName", "destination"]], "Metrics": metrics}
    return {
        "type": METRICS_TYPE,
        "_aws": {"Timestamp": timestamp_ms, "CloudWatchMetrics": [directive]},
        "functionName": resource.function_name,
        "destination": destination,
        **values,
        "droppedBecause": row.dropped,
    }


def _counts(row: RowSnapshot) -> dict[str, int]:
    counts = (
        row.received, row.delivered, row.filtered, row.sampled, row.rejected, sum(row.dropped.values()),
        row.dead_lettered, row.resent_unconfirmed,
    )  # fmt: skip
    return dict(zip(COUNTED, counts, strict=True))
