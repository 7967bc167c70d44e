"""One record to many exporters. Each has its own queue and thread, so a slow one never delays another."""

from __future__ import annotations

from tailrace.pipeline.ledger import BAD_CONFIGURATION, NO_DESTINATION, NO_DESTINATION_ROW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.model.record import Record
    from tailrace.pipeline.exporter import Exporter
    from tailrace.pipeline.ledger import Ledger, LedgerRow


class Fanout:
    """All destinations as one. With none, a row named ``none`` counts every record as dropped (`no_destination`).

    `unusable` are the rows of destinations that were asked for and cannot be built: they count every record as
    dropped (`bad_configuration`).
    """

    __slots__ = ("_exporters", "_nowhere", "_rows", "_unusable")

    def __init__(self, exporters: Sequence[Exporter], ledger: Ledger, unusable: Sequence[LedgerRow] = ()) -> None:
        self._exporters = list(exporters)
        self._unusable = list(unusable)
        self._rows: list[LedgerRow] = [e.row for e in self._exporters] + self._unusable
        self._nowhere = None if self._rows else ledger.open_row(NO_DESTINATION_ROW)
        if self._nowhere is not None:
            self._rows.append(self._nowhere)

    @property
    def exporters(self) -> list[Exporter]:
        return list(self._exporters)

    @property
    def any_up(self) -> bool:
        """Whether there is a destination worth waiting for."""
        return any(e.is_up for e in self._exporters)

    def start(self, spawn: Callable[[Callable[[], None]], object]) -> None:
        """Give every exporter its thread; `spawn` starts one that runs what it is given."""
        for exporter in self._exporters:
            spawn(exporter.run)

    # -- the worker's side

    def offer(self, record: Record) -> None:
        for exporter in self._exporters:
            exporter.offer(record)
        for row in self._unusable:
            row.receive()
            row.drop(1, BAD_CONFIGURATION)
        if self._nowhere is not None:
            self._nowhere.receive()
            self._nowhere.drop(1, NO_DESTINATION)

    def filter(self, n: int = 1) -> None:
        """`n` records came in that no destination gets."""
        for row in self._rows:
            row.receive(n)
            row.filter(n)

    def drop(self, n: int, reason: str) -> None:
        """`n` records came in and are lost before any destination saw them."""
        for row in self._rows:
            row.receive(n)
            row.drop(n, reason)

    # -- the lifecycle's side

    def request_flush(self) -> None:
        for exporter in self._exporters:
            exporter.request_flush()

    def wait_drained(self, deadline_s: float, full: bool = True) -> bool:
        """True when every destination that is up has taken what was offered; see `Exporter.wait_drained`."""
        drained = True
        for exporter in self._exporters:
            drained = exporter.wait_drained(deadline_s, full) and drained  # each is asked, whatever the others said
        return drained

    def close(self, deadline_s: float) -> None:
        """Final flush of all at once. After it no row holds anything."""
        for exporter in self._exporters:
            exporter.begin_close(deadline_s)
        for exporter in self._exporters:
            exporter.finish_close(deadline_s)
