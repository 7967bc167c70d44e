"""Telemetry bodies between the listener and the worker, bounded in bytes."""

from __future__ import annotations

from tailrace.pipeline.sync import Monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.clock import Clock
    from tailrace.pipeline.ledger import Ledger
    from tailrace.pipeline.progress import Progress
    from tailrace.pipeline.spooling.account import Account


# Enough for the worker's pace to be uneven. What does not fit is held back, and so stays with the platform.
MAX_BYTES = 2_097_152


class Oversized:
    """A body that was read to its end but not kept."""

    __slots__ = ("n_bytes",)

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes


class Intake:
    """First in, first out, for many listeners' threads and one worker.

    Full means: what waits and the newcomer are more than `max_bytes` together. A single body of any size gets in
    when nothing waits, or it could never be admitted.
    """

    __slots__ = (
        "_account",
        "_bodies",
        "_clock",
        "_closed",
        "_hold_s",
        "_ledger",
        "_max_bytes",
        "_monitor",
        "_progress",
        "_waiting_bytes",
    )

    def __init__(
        self,
        ledger: Ledger,
        progress: Progress,
        clock: Clock,
        max_bytes: int = MAX_BYTES,
        hold_s: float = 1.0,
        account: Account | None = None,
    ) -> None:
        self._account = account
        self._ledger = ledger
        self._progress = progress
        self._clock = clock
        self._max_bytes = max_bytes
        self._hold_s = hold_s
        self._monitor = Monitor()
        self._bodies: list[bytes | Oversized] = []
        self._waiting_bytes = 0
        self._closed = False

    def admit(self, body: bytes | Oversized) -> bool:
        """True when `body` is in memory and will be processed.

        With no room it waits up to `hold_s` and then refuses, counted in the ledger's row ``refused``.
        """
        size = _size(body)
        with self._monitor:
            deadline_s = self._clock.monotonic_s() + self._hold_s
            has_room = self._monitor.wait_until(lambda: self._has_room(size), self._clock, deadline_s)
            if has_room and not self._closed:
                if self._account is not None:
                    self._account.admitted(body)
                self._bodies.append(body)
                self._waiting_bytes += size
                self._progress.admitted()
                self._monitor.notify_all()
                return True
        self._ledger.refuse()
        return False

    def take(self) -> bytes | Oversized | None:
        """The next body; waits for it. None once closed and empty."""
        with self._monitor:
            while not self._bodies and not self._closed:
                self._monitor.wait()
            if not self._bodies:
                return None
            body = self._bodies.pop(0)
            self._waiting_bytes -= _size(body)
            self._monitor.notify_all()
            return body

    def close(self) -> None:
        """Nothing more is admitted; what waits can still be taken. The end counts as admitted, too: it is processed
        when the worker has put everything down."""
        with self._monitor:
            if not self._closed:
                self._progress.admitted()
            self._closed = True
            self._monitor.notify_all()

    def _has_room(self, size: int) -> bool:
        return self._closed or not self._bodies or self._waiting_bytes + size <= self._max_bytes


def _size(body: bytes | Oversized) -> int:
    return 0 if isinstance(body, Oversized) else len(body)
