"""What a sender that was given up still holds, in memory and on its shelf, until it is among the dead letters.

It stays where it is until there is room for it: what lies on disk may be far more than memory holds.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.pipeline.sending.sender import Sender
    from tailrace.pipeline.sync import Monitor


class Remains:
    """Safe from any thread: `monitor` is the one that guards `sender`."""

    __slots__ = ("_monitor", "_sender")

    def __init__(self, monitor: Monitor, sender: Sender) -> None:
        self._monitor = monitor
        self._sender = sender

    @property
    def next_bytes(self) -> int | None:
        """About how large the next batch is, rather too large than too small; None where nothing is left."""
        with self._monitor:
            return self._sender.remaining_bytes

    def bury_next(self) -> None:
        """Read one batch, if it lies on disk, and hand it over."""
        with self._monitor:
            self._sender.bury_next()

    def drop(self, reason: str) -> int:
        """There is no more time: the rest is lost, unread. How many records that are."""
        with self._monitor:
            return self._sender.drop_remains(reason)
