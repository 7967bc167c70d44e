"""Keeping the counter file in step with what is acknowledged and what becomes of it."""

from __future__ import annotations

import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.pipeline.interfaces import Diagnostics
    from tailrace.pipeline.ledger import Ledger, RowSnapshot
    from tailrace.pipeline.spooling.counter_file import CounterFile

UNWRITABLE = "the counter file cannot be written: if this process is killed nobody will know what was lost"


class Account:
    """Safe from any thread. A file that cannot be written is said once, and costs nothing but the count.

    How many records a body holds is known when it is split, which is after its acknowledgement. Until then they count
    as its text has it.
    """

    __slots__ = (
        "_counts",
        "_diagnostics",
        "_failed",
        "_file",
        "_is_closed",
        "_is_short",
        "_ledger",
        "_lock",
        "_pending",
        "_processed",
    )

    def __init__(self, ledger: Ledger, file: CounterFile, diagnostics: Diagnostics) -> None:
        self._ledger = ledger
        self._file = file
        self._diagnostics = diagnostics
        self._lock = _thread.allocate_lock()
        self._counts: list[int] = []
        self._pending = 0
        self._processed = 0
        self._failed = False
        self._is_short = False
        self._is_closed = False

    def admitted(self, n: int) -> None:
        """A body of `n` records is in memory and about to be acknowledged."""
        with self._lock:
            self._counts.append(n)
            self._pending += n
            self._acknowledge()

    def processed(self, n_records: int) -> None:
        """The first of the bodies that were admitted is processed; `n_records` have come in by all that were."""
        with self._lock:
            if self._counts:
                self._pending -= self._counts.pop(0)
            self._processed = n_records
            self._write()
            self._acknowledge()

    def note(self) -> None:
        """Something has got its outcome."""
        with self._lock:
            self._write()

    def close(self) -> None:
        """The ledger is about to be printed."""
        with self._lock:
            self._write(is_closed=True)

    def _acknowledge(self) -> None:
        try:
            self._file.acknowledge(self._processed + self._pending)
        except OSError as error:
            self._complain(error)

    def _write(self, is_closed: bool = False) -> None:
        if self._is_closed:
            return  # a sender that was given up may come back: what it says now must not undo the end
        self._is_closed = is_closed
        rows = {name: written_row(row) for name, row in self._ledger.snapshot().items()}
        try:
            is_whole = self._file.write_rows(rows, is_closed)
        except OSError as error:
            self._complain(error)
            return
        if not is_whole and not self._is_short:
            self._is_short = True
            message = "the ledger does not fit into the counter file: if this process is killed reasons are lost"
            self._diagnostics("warn", message)

    def _complain(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            self._diagnostics("warn", UNWRITABLE, reason=error.strerror or str(error))


def written_row(row: RowSnapshot) -> dict[str, object]:
    """A row as the counter file has it."""
    return {
        "received": row.received,
        "base": row.base,
        "held": row.held,
        "delivered": row.delivered,
        "filtered": row.filtered,
        "sampled": row.sampled,
        "rejected": row.rejected_reasons,
        "dropped": row.dropped,
        "deadLettered": row.dead_lettered,
        "resentUnconfirmed": row.resent_unconfirmed,
        "truncated": row.truncated,
        "takenOver": row.taken_over,
        "spooled": row.spooled,
    }
