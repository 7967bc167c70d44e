"""The agent's place on ephemeral storage: the spool, and the account that the next process goes on with."""

from __future__ import annotations

import _thread
import posix

from tailrace.pipeline.ledger import PROCESS_KILLED, SPOOL_LOST
from tailrace.pipeline.spooling.account import UNWRITABLE, Account
from tailrace.pipeline.spooling.counter_file import CounterFile, read_counters, reserve
from tailrace.pipeline.spooling.folder import SpoolUnusableError, open_spool_folder
from tailrace.pipeline.spooling.shelf import Shelf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tailrace.config.settings import Settings
    from tailrace.pipeline.interfaces import Diagnostics
    from tailrace.pipeline.ledger import Ledger, LedgerRow
    from tailrace.pipeline.sending.exporter import Exporter
    from tailrace.pipeline.spooling.carried_row import CarriedRow
    from tailrace.pipeline.spooling.folder import SpoolFolder
    from tailrace.pipeline.spooling.spool import Spool
    from tailrace.pipeline.surroundings import Surroundings

COUNTERS = "counters"
# What tells environments apart beside the storage itself. On Lambda these are the same for all processes of one.
_NAMES = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_RUNTIME_API")


class Spooling:
    """`account` is None where the folder cannot be used: everything works without, but for what is here. `shelf`
    makes a destination's part; `go_on` gives every row of the ledger what the process before this one left of it."""

    __slots__ = ("_folder", "_lock", "_settings", "_spool", "_surroundings", "account", "carried")

    def __init__(self, folder: SpoolFolder | None, settings: Settings, surroundings: Surroundings) -> None:
        self._folder = folder
        self._settings = settings
        self._surroundings = surroundings
        self._lock = _thread.allocate_lock()
        self._spool: Spool | None = None
        self.account: Account | None = None
        self.carried: dict[str, CarriedRow] = {}

    def shelf(self, row: LedgerRow) -> Shelf | None:
        """Where this row's batches may lie."""
        if self._folder is None:
            return None
        settings, around = self._settings, self._surroundings
        max_bytes, max_age_s = settings.spool_max_bytes, settings.spool_max_age_s
        return Shelf(row, self._opened, around.clock, around.diagnostics, max_bytes, max_age_s)

    def go_on(self, ledger: Ledger, exporters: Sequence[Exporter]) -> None:
        """To be called once, when all rows stand and nothing has come in."""
        by_name = {exporter.name: exporter for exporter in exporters}
        for name, carried in self.carried.items():
            row = ledger.carry_over(name, carried)
            if name in by_name:
                by_name[name].inherit(carried)
            else:
                from_spool, from_memory = carried.missing(0)
                row.drop(from_spool, SPOOL_LOST)
                row.drop(from_memory, PROCESS_KILLED)
        if self._has_files():
            for exporter in exporters:
                exporter.look_for_more()
        if self.account is not None:
            self.account.note()

    def _has_files(self) -> bool:
        try:
            return self._folder is not None and any(name != COUNTERS for name in self._folder.names())
        except OSError:
            return False

    def _opened(self) -> Spool:
        """The files themselves: what handles them is loaded now, and not before somebody needs it."""
        from tailrace.pipeline.spooling.spool import Spool

        assert self._folder is not None
        with self._lock:
            if self._spool is None:
                self._spool = Spool(self._folder, self._surroundings.resource, self._surroundings.diagnostics)
            return self._spool


def open_spooling(
    environ: Mapping[str, str], settings: Settings, ledger: Ledger, surroundings: Surroundings
) -> Spooling:
    """This environment's folder, and what the process before this one left in it. Never raises for a folder."""
    diagnostics = surroundings.diagnostics
    try:
        folder = open_spool_folder(settings.spool_dir, [environ.get(name, "") for name in _NAMES])
    except SpoolUnusableError as error:
        _complain(diagnostics, settings, str(error))
        return Spooling(None, settings, surroundings)
    try:
        fd = folder.open(COUNTERS, posix.O_RDWR | posix.O_CREAT)
        previous = read_counters(fd)
    except OSError as error:
        # somebody put something else in its place: then nothing here is ours to read or write
        folder.close()
        _complain(diagnostics, settings, f"cannot be used: {COUNTERS}: {error.strerror or error}")
        return Spooling(None, settings, surroundings)
    spooling = Spooling(folder, settings, surroundings)
    try:
        reserve(fd)
    except OSError as error:
        posix.close(fd)
        # what lies there is delivered all the same, and the disk may have room again
        diagnostics("warn", UNWRITABLE, reason=error.strerror or str(error))
        return spooling
    if previous.rows:
        from tailrace.pipeline.spooling.carry_over import carried_rows

        spooling.carried = carried_rows(previous)
    spooling.account = Account(ledger, CounterFile(fd, previous), diagnostics)
    return spooling


def _complain(diagnostics: Diagnostics, settings: Settings, why: str) -> None:
    message = "the folder for records that wait cannot be used: they wait in memory only, and a kill is not counted"
    diagnostics("warn", message, folder=settings.spool_dir, reason=why)
