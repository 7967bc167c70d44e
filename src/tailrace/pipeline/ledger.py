"""Counting every record into exactly one outcome per destination.

At every instant, for every row:
``received = delivered + held + filtered + sampled + rejected + sum(dropped.values()) + deadLettered``.
`held` is a counter of its own, not what is left over: whoever books an outcome for a record that is not
held gets a `ValueError`, so a double booking is found where it happens.
"""

from __future__ import annotations

import _thread

from tailrace.pipeline.ages import Ages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.pipeline.spooling.carried_row import CarriedRow

# Why records were dropped. Whoever drops for a new reason adds its word here.
QUEUE_FULL = "queue_full"
SHUTDOWN = "shutdown"  # the process is about to leave; posts of telemetry are refused for that, too
NO_DESTINATION = "no_destination"
BAD_CONFIGURATION = "bad_configuration"  # the destination's URL or settings cannot be used
UNPARSABLE = "unparsable"  # a remainder of a telemetry body that is not JSON; counted as one record
BODY_TOO_LARGE = "body_too_large"  # a telemetry body beyond the listener's bound; counted as one record
INTERNAL_ERROR = "internal_error"
DISK_FULL = "disk_full"  # memory was full, and the disk took nothing more
SPOOL_FAILED = "spool_failed"  # memory was full, and the spool could not be written for another reason
SPOOL_LOST = "spool_lost"  # a file of the spool was removed or damaged
SPOOL_EXPIRED = "spool_expired"  # older than records in the spool may become
PROCESS_KILLED = "process_killed"  # acknowledged by a process that was killed before they had an outcome

# Why records were rejected, apart from the destinations' own words.
RECORD_TOO_LARGE = "record_too_large"  # larger than a whole request may be
TOO_LARGE = "too_large"  # the destination refused it even alone
REJECTED = "rejected"  # any other refusal, where its own words stand elsewhere

# A row counts by that many reasons, and by one word for all further ones: a destination has words of its own, and no
# end of them makes a row grow.
MAX_REASONS = 32
OTHER_REASONS = "other"

NO_DESTINATION_ROW = "none"
REFUSED_ROW = "refused"  # counts telemetry posts, not records: answered 503, so that the platform sends them again
INTAKE_FULL = "intake_full"  # the worker is behind
ALL_FULL = "memory_and_spool_full"  # of every destination
PLATFORM_ROW = "platform"  # counts records that never came here: the platform says that it dropped them
LOGS_DROPPED = "logs_dropped"


class RowSnapshot:
    """One destination's figures at one instant. `dropped` and `rejected_reasons` are copies."""

    __slots__ = (
        "ages",
        "base",
        "dead_lettered",
        "delivered",
        "dropped",
        "filtered",
        "held",
        "received",
        "rejected",
        "rejected_reasons",
        "resent_unconfirmed",
        "sampled",
        "spooled",
        "taken_over",
        "truncated",
    )

    def __init__(self, row: LedgerRow) -> None:
        self.spooled = row._spooled
        self.taken_over = row._taken_over
        self.base = row.base
        self.ages = row._ages.copy()
        self.truncated = row._truncated
        self.received = row._received
        self.delivered = row._delivered
        self.held = row._held
        self.filtered = row._filtered
        self.sampled = row._sampled
        self.rejected_reasons = dict(row._rejected)
        self.rejected = sum(row._rejected.values())
        self.dropped = dict(row._dropped)
        self.dead_lettered = row._dead_lettered
        self.resent_unconfirmed = row._resent_unconfirmed

    @property
    def accounted(self) -> int:
        """The right-hand side of the sum; equals `received`."""
        settled = self.delivered + self.filtered + self.sampled + self.rejected + self.dead_lettered
        return settled + self.held + sum(self.dropped.values())

    def to_object(self) -> dict[str, object]:
        """The row as it stands in the shutdown line. `truncated`, `spooled` (of what is held: what lies on disk),
        `takenOver` and `ageMs` only where there is something to say."""
        line: dict[str, object] = {
            "received": self.received,
            "delivered": self.delivered,
            "held": self.held,
            "filtered": self.filtered,
            "sampled": self.sampled,
            "rejected": self.rejected,
            "dropped": self.dropped,
            "deadLettered": self.dead_lettered,
            "resentUnconfirmed": self.resent_unconfirmed,
        }
        if self.truncated:
            line["truncated"] = self.truncated
        if self.spooled:
            line["spooled"] = self.spooled
        if self.taken_over:
            line["takenOver"] = self.taken_over
        if self.ages.n:
            line["ageMs"] = self.ages.to_object()
        return line


class LedgerRow:
    """One destination's account. Every method is one atomic step and may be called from any thread."""

    __slots__ = (
        "_ages",
        "_dead_lettered",
        "_delivered",
        "_dropped",
        "_filtered",
        "_held",
        "_lock",
        "_received",
        "_rejected",
        "_resent_unconfirmed",
        "_sampled",
        "_spooled",
        "_taken_over",
        "_truncated",
        "base",
        "name",
    )

    def __init__(self, name: str, lock: _thread.LockType) -> None:
        self.name = name
        self._lock = lock
        self._received = 0
        self._held = 0
        self._delivered = 0
        self._filtered = 0
        self._sampled = 0
        self._rejected: dict[str, int] = {}
        self._dropped: dict[str, int] = {}
        self._dead_lettered = 0
        self._resent_unconfirmed = 0
        self._truncated = 0
        self._spooled = 0
        self._taken_over = 0
        self._ages = Ages()
        self.base = 0  # of what was received: how much did not come from the platform to this process

    def receive(self, n: int = 1) -> None:
        """`n` records came in and are held."""
        with self._lock:
            if n < 0:
                raise ValueError(f"ledger row {self.name}: {n} records cannot be received")
            self._received += n
            self._held += n

    def deliver(self, n: int = 1, ages: Sequence[tuple[int, int]] = ()) -> None:
        """`n` held records arrived; `ages` says how old they were, as (milliseconds, how many)."""
        with self._lock:
            self._let_go(n)
            self._delivered += n
            for age_ms, n_lines in ages:
                self._ages.add(age_ms, n_lines)

    def filter(self, n: int = 1) -> None:
        """`n` held records are not wanted here."""
        with self._lock:
            self._let_go(n)
            self._filtered += n

    def sample(self, n: int = 1) -> None:
        """`n` held records were left out by sampling."""
        with self._lock:
            self._let_go(n)
            self._sampled += n

    def reject(self, n: int, reason: str) -> None:
        """The destination will never take these `n` records as they are."""
        with self._lock:
            self._let_go(n)
            _count(self._rejected, reason, n)

    def drop(self, n: int, reason: str) -> None:
        """`n` held records are lost, and this is why."""
        with self._lock:
            self._let_go(n)
            _count(self._dropped, reason, n)

    def dead_letter(self, n: int = 1) -> None:
        with self._lock:
            self._let_go(n)
            self._dead_lettered += n

    def resend_unconfirmed(self, n: int = 1) -> None:
        """`n` records went out again although they may have arrived. Outside the sum: they keep their outcome."""
        with self._lock:
            self._resent_unconfirmed += n

    def truncate(self, n: int = 1) -> None:
        """`n` records were cut to a size that is taken. Outside the sum: they keep their outcome."""
        with self._lock:
            self._truncated += n

    def spool(self, n: int) -> None:
        """`n` more of the held records lie on disk (less: negative). Outside the sum."""
        with self._lock:
            self._spooled += n

    def carry_over(self, carried: CarriedRow) -> None:
        """Go on with what a former process of this environment counted. The row is new."""
        with self._lock:
            self._received = self.base = carried.received
            self._held = carried.held
            self._delivered = carried.delivered
            self._filtered = carried.filtered
            self._sampled = carried.sampled
            self._rejected = dict(carried.rejected)
            self._dropped = dict(carried.dropped)
            self._dead_lettered = carried.dead_lettered
            self._resent_unconfirmed = carried.resent_unconfirmed
            self._truncated = carried.truncated
            self._taken_over = carried.taken_over

    def take_over(self, n: int) -> None:
        """`n` records were found that a former process held and nobody counted."""
        with self._lock:
            self._received += n
            self._held += n
            self.base += n

    def take_own(self, n: int) -> None:
        """`n` of the records that are about to be received are the agent's own."""
        with self._lock:
            self.base += n

    def snapshot(self) -> RowSnapshot:
        with self._lock:
            return RowSnapshot(self)

    def _let_go(self, n: int) -> None:
        if not 0 <= n <= self._held:
            raise ValueError(f"ledger row {self.name}: an outcome for {n} records, but {self._held} are held")
        self._held -= n


def _count(reasons: dict[str, int], reason: str, n: int) -> None:
    if n:
        word = reason if reason in reasons or len(reasons) < MAX_REASONS else OTHER_REASONS
        reasons[word] = reasons.get(word, 0) + n


class Ledger:
    """All rows, and the source of sequence numbers. One lock for all, so that a snapshot is of one instant."""

    __slots__ = ("_last_seq", "_lock", "_rows")

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._rows: dict[str, LedgerRow] = {}
        self._last_seq = 0

    def next_seqs(self, n: int) -> int:
        """The first of `n` numbers in a row: 1, 2, 3 ... Unique in this process."""
        with self._lock:
            first = self._last_seq + 1
            self._last_seq += n
            return first

    def open_row(self, name: str) -> LedgerRow:
        """A new row for the destination `name`. A second one of the same name is called ``name#2``, and so on."""
        with self._lock:
            row = LedgerRow(self._free_name(name), self._lock)
            self._rows[row.name] = row
            return row

    def refuse(self, reason: str) -> None:
        """A telemetry post was answered 503. The row appears with the first one."""
        row = self._own_row(REFUSED_ROW)
        row.receive()
        row.reject(1, reason)

    def lost_by_platform(self, n: int) -> None:
        """The platform dropped `n` records before they came here. The row appears with the first one."""
        row = self._own_row(PLATFORM_ROW)
        row.receive(n)
        row.drop(n, LOGS_DROPPED)

    def carry_over(self, name: str, carried: CarriedRow) -> LedgerRow:
        """The row `name`, opened where there is none, goes on with what a former process counted."""
        row = self._own_row(name)
        row.carry_over(carried)
        return row

    def snapshot(self) -> dict[str, RowSnapshot]:
        """Every row by name, all at the same instant."""
        with self._lock:
            return {name: RowSnapshot(row) for name, row in self._rows.items()}

    def line_object(self) -> dict[str, object]:
        """The agent's last line on standard output: ``{"type": "tailrace.ledger", "<destination>": {...}, ...}``."""
        line: dict[str, object] = {"type": "tailrace.ledger"}
        for name, row in self.snapshot().items():
            line[name] = row.to_object()
        return line

    def _own_row(self, name: str) -> LedgerRow:
        with self._lock:
            row = self._rows.get(name)
            if row is None:
                row = self._rows[name] = LedgerRow(name, self._lock)
            return row

    def _free_name(self, name: str) -> str:
        # "type" is the line's own member
        candidate, n = name, 1
        while candidate in self._rows or candidate in ("type", REFUSED_ROW, PLATFORM_ROW):
            n += 1
            candidate = f"{name}#{n}"
        return candidate
