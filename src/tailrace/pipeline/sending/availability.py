"""Is the destination there? Pure.

Up until an attempt fails or a flush wait runs into its cap; down from then on, and up again at the first answer
that takes or turns down records. While it is down nobody begins to wait for it. A failure window is
spoken of when it begins and when it ends.

When the next attempt is worth making is the breaker's to say.
"""

from __future__ import annotations

from tailrace.pipeline.sending.breaker import Breaker
from tailrace.pipeline.sending.notices import NO_ANSWER, Notice


class Availability:
    """One destination's state."""

    __slots__ = ("_breaker", "_destination", "_down_since_s")

    def __init__(self, destination: str, breaker: Breaker | None = None) -> None:
        self._destination = destination
        self._breaker = breaker or Breaker()
        self._down_since_s: float | None = None

    @property
    def failures(self) -> int:
        """Failed attempts in a row."""
        return self._breaker.failures

    @property
    def next_attempt_s(self) -> float:
        """The moment before which no attempt is worth making."""
        return self._breaker.next_attempt_s

    @property
    def is_up(self) -> bool:
        return self._down_since_s is None

    def attempt_failed(
        self, now_s: float, message: str, reason: str, delay_s: float, draw: float = 0.0, asked_s: float = 0.0
    ) -> Notice | None:
        """An attempt failed because of `reason`; the next is due in `delay_s`, or when the breaker allows it, and never
        in less than `asked_s`."""
        self._breaker.failed(now_s, delay_s, draw, asked_s)
        return self._go_down(now_s, message, reason)

    def wait_expired(self, now_s: float, reason: str) -> Notice | None:
        """A flush waited as long as it may, and the records are still held. `reason` is how far it has come."""
        return self._go_down(now_s, NO_ANSWER, reason)

    def answered(self, now_s: float, held: int, dropped: int, reason: str = "") -> Notice | None:
        """The destination dealt with a batch. `held` records are still waiting, `dropped` were lost meanwhile; `reason`
        is what stood in the way last."""
        failures = self._breaker.failures
        self._breaker.succeeded()
        since_s, self._down_since_s = self._down_since_s, None
        if since_s is None:
            return None
        fields: dict[str, object] = {
            "destination": self._destination,
            "downForS": round(now_s - since_s, 3),
            "failedAttempts": failures,
            "reason": reason,
            "heldRecords": held,
            "droppedRecords": dropped,
        }
        return Notice("info", "destination answers again", fields)

    def pause(self, until_s: float) -> None:
        """The next attempt is worth making at `until_s`, whatever was said before."""
        self._breaker.next_attempt_s = until_s

    def asked(self, until_s: float) -> None:
        """The destination itself asks to be left alone until then."""
        self._breaker.asked(until_s)

    def invoked(self) -> None:
        """An invocation begins: a long pause is cut short."""
        self._breaker.invoked()

    def attempt_now(self) -> None:
        """Forget the pause (at shutdown there is no later), but not what the destination asked for."""
        self._breaker.attempt_now()

    def _go_down(self, now_s: float, message: str, reason: str) -> Notice | None:
        """Speak of it, if it was up."""
        if self._down_since_s is not None:
            return None
        self._down_since_s = now_s
        return Notice("warn", message, {"destination": self._destination, "reason": reason})
