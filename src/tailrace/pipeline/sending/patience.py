"""How a destination is waited for, by how it has answered so far. Pure."""

from __future__ import annotations

# Waits end a moment before or after they should.
_TOLERANCE_S = 0.001


class Patience:
    """A destination that does not answer is waited for as long as `cap_s`, in one wait or, where an invocation had less
    time to give, in several together. `usual_s` is how long its replies take, None before the first.

    `is_warm`: it has answered, over a connection that still stands. `is_unproven`: it never did, was waited for as long
    as anybody may, and all that was sent is on the wire: it may be slow or dead. Its wire is waited for then, as that
    of a slow one, and its replies are not, as those of a dead one. A reply, or an attempt that fails, decides.
    """

    __slots__ = ("_answered_s", "_cap_s", "_in_vain_s", "is_unproven", "is_warm", "usual_s")

    def __init__(self, cap_s: float) -> None:
        self._cap_s = cap_s
        self._in_vain_s = 0.0
        self._answered_s = float("-inf")
        self.usual_s: float | None = None
        self.is_warm = False
        self.is_unproven = False

    def until_s(self, now_s: float, until_s: float) -> float:
        """When a wait ends that begins now and might last until `until_s`."""
        return min(until_s, now_s + max(0.0, self._cap_s - self._in_vain_s)) if self._in_vain_s else until_s

    def is_used_up(self, began_s: float, now_s: float, given_s: float) -> bool:
        """Whether that is the end of it, after a wait in vain for which there were `given_s` seconds.

        More than the cap is given by who waits for something else, all that a queue holds at the end of the
        environment: that this takes long says nothing.
        """
        if given_s >= self._cap_s + _TOLERANCE_S:
            return False
        self._in_vain_s += max(0.0, now_s - max(began_s, self._answered_s))
        return self._in_vain_s >= self._cap_s - _TOLERANCE_S

    def leave_unproven(self) -> None:
        """No reply for as long as anybody may wait, and everything is on the wire. A wait for the wire is another."""
        self.is_unproven = not self.is_warm
        self._in_vain_s = 0.0

    def answered(self, now_s: float, reply_s: float) -> None:
        """A reply came, after `reply_s`. The usual time follows it at once where it is shorter, slowly where it is
        longer, because a reply that was read after a freeze only seems to have taken so long."""
        self._in_vain_s = 0.0
        self._answered_s = now_s
        self.is_warm = True
        self.is_unproven = False
        if self.usual_s is None or reply_s < self.usual_s:
            self.usual_s = reply_s
        else:
            self.usual_s += (min(reply_s, 1.0) - self.usual_s) / 4

    def failed(self) -> None:
        """An attempt ended without a reply."""
        self.is_warm = self.is_unproven = False

    def thawed(self) -> None:
        """The sandbox stood still for long: its connections are not trusted any more."""
        self.is_warm = False

    def answers_within(self, wait_s: float) -> bool:
        """Whether waiting so long for a reply is worth it, as far as former replies tell."""
        return not self.is_unproven and (self.usual_s is None or self.usual_s <= wait_s)
