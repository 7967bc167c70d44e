"""What one row of the ledger begins with, where a former process of the environment left figures."""

from __future__ import annotations


class CarriedRow:
    """One row's figures, to begin with. `is_printed` says that the former process told them itself at its end, and had
    all that it held on disk then."""

    __slots__ = (
        "dead_lettered",
        "delivered",
        "dropped",
        "filtered",
        "held",
        "is_printed",
        "received",
        "rejected",
        "resent_unconfirmed",
        "sampled",
        "taken_over",
        "truncated",
    )

    def __init__(self) -> None:
        self.received = self.held = self.delivered = self.filtered = self.sampled = 0
        self.dead_lettered = self.resent_unconfirmed = self.truncated = self.taken_over = 0
        self.rejected: dict[str, int] = {}
        self.dropped: dict[str, int] = {}
        self.is_printed = False

    def missing(self, found: int) -> tuple[int, int]:
        """With `found` records in the spool: how many were lost from it, and how many went with the process.

        A killed process may have marked records in the spool as delivered and not lived to count them: what is not
        there is no sign that a file was lost.
        """
        missing = max(0, self.held - found)
        return (missing, 0) if self.is_printed else (0, missing)
