"""A circuit breaker. Pure.

Closed, every batch is tried. After `threshold` failures in a row it opens: nothing is tried until a pause is over,
then one batch is the probe. A probe that fails opens it again for a longer pause, one that is answered closes it.

While invocations come the pause is shorter: each of them runs for as long as it runs, whatever is probed meanwhile, and
its lines are late for as long as nobody notices that the destination is back. While none comes the sandbox stands
still or is about to end, and a long pause costs nothing.

The probe is the oldest batch itself: a question of its own could be answered otherwise than the batch (a role that
may write to a bucket need not be allowed to ask for it), and what is answered has arrived.
"""

from __future__ import annotations

CLOSED = "closed"
OPEN = "open"
PROBING = "probing"

_MAX_DOUBLINGS = 16


class Breaker:
    """`next_attempt_s` is the moment (monotonic) before which no attempt is worth making. `invoked_pause_s` is the
    longest pause while invocations come."""

    __slots__ = (
        "_asked_until_s",
        "_first_pause_s",
        "_invoked_pause_s",
        "_max_pause_s",
        "_soonest_s",
        "_threshold",
        "failures",
        "next_attempt_s",
    )

    def __init__(
        self,
        threshold: int = 4,
        first_pause_s: float = 1.0,
        max_pause_s: float = 60.0,
        invoked_pause_s: float = 5.0,
    ) -> None:
        self._threshold = threshold
        self._invoked_pause_s = invoked_pause_s
        self._soonest_s = 0.0
        self._asked_until_s = 0.0
        self._first_pause_s = first_pause_s
        self._max_pause_s = max_pause_s
        self.failures = 0
        self.next_attempt_s = 0.0

    def state(self, now_s: float) -> str:
        """`CLOSED`, `OPEN`, or `PROBING`: the pause is over, and the next attempt decides."""
        if self.failures < self._threshold:
            return CLOSED
        return OPEN if now_s < self.next_attempt_s else PROBING

    def failed(self, now_s: float, delay_s: float, draw: float, asked_s: float = 0.0) -> None:
        """An attempt failed, and the retry policy would wait `delay_s`; less than `asked_s` is never waited. `draw` is
        from 0 up to 1."""
        self.failures += 1
        self.next_attempt_s = now_s + max(delay_s, self._pause_s(draw))
        self._soonest_s = now_s + max(asked_s, self._invoked_pause_s / 2 * (1 + draw))

    def invoked(self) -> None:
        """An invocation begins."""
        if self.failures >= self._threshold:
            self.next_attempt_s = min(self.next_attempt_s, self._soonest_s)

    def succeeded(self) -> None:
        """The destination answered."""
        self.failures = 0
        self.next_attempt_s = self._asked_until_s = 0.0

    def asked(self, until_s: float) -> None:
        """The destination asks to be left alone until then, whatever becomes of other pauses."""
        self._asked_until_s = until_s
        self.next_attempt_s = max(self.next_attempt_s, until_s)

    def attempt_now(self) -> None:
        """Forget the pause, for there is no later; but not what the destination asked for."""
        self.next_attempt_s = self._asked_until_s

    def _pause_s(self, draw: float) -> float:
        """Nothing while closed. Open: between half a ceiling, which doubles with every probe, and all of it: probes of
        many environments spread, and none comes at once."""
        doublings = self.failures - self._threshold
        if doublings < 0:
            return 0.0
        ceiling_s = min(self._max_pause_s, self._first_pause_s * 2.0 ** min(doublings, _MAX_DOUBLINGS))
        return ceiling_s / 2 * (1 + draw)
