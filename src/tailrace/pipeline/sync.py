"""The one way in which the agent's threads wait for each other.

`threading` costs more to import than the fast start may spend, and all that is needed of it is a condition
variable. This one is built as the standard library's is: every waiter sleeps on a lock of its own, so a
notification is never lost between a check and the sleep, and never wakes somebody who came later.
"""

from __future__ import annotations

import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.clock import Clock


class Monitor:
    """A lock with a waiting room. Enter it with ``with monitor:`` before anything else; not re-entrant."""

    __slots__ = ("_lock", "_waiters")

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._waiters: list[_thread.LockType] = []

    def __enter__(self) -> Monitor:
        self._lock.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Give the lock up, sleep until notified or `timeout_s` has passed, take the lock again.

        True when notified. None waits for ever; zero and less only let others in for a moment.
        """
        waiter = _thread.allocate_lock()
        waiter.acquire()
        self._waiters.append(waiter)
        self._lock.release()
        notified = False
        try:
            notified = _acquire(waiter, timeout_s)
        finally:
            self._lock.acquire()
            if not notified:
                notified = self._leave(waiter)
        return notified

    def _leave(self, waiter: _thread.LockType) -> bool:
        """Take a waiter back that slept in vain. True if the notification came in that very moment."""
        for index, other in enumerate(self._waiters):
            if other is waiter:
                del self._waiters[index]
                return False
        return True

    def wait_until(self, condition: Callable[[], bool], clock: Clock, deadline_s: float | None) -> bool:
        """Wait until `condition()` holds or `clock` has reached `deadline_s`; what `condition()` says at the end."""
        while not condition():
            remaining_s = None if deadline_s is None else deadline_s - clock.monotonic_s()
            if remaining_s is not None and remaining_s <= 0:
                return False
            self.wait(remaining_s)
        return True

    def notify_all(self) -> None:
        """Wake everybody who waits now. The caller holds the lock."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.release()


def _acquire(lock: _thread.LockType, timeout_s: float | None) -> bool:
    if timeout_s is None:
        return lock.acquire()
    if timeout_s <= 0:
        return lock.acquire(False)
    return lock.acquire(True, min(timeout_s, _thread.TIMEOUT_MAX))
