"""Waiting for destinations: for the wire, for replies, for several of them at once."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.clock import Clock
    from tailrace.pipeline.sending.attempt import Tell
    from tailrace.pipeline.sending.lanes import Lanes
    from tailrace.pipeline.sending.notices import Notice
    from tailrace.pipeline.sending.patience import Patience
    from tailrace.pipeline.sending.sender import Sender
    from tailrace.pipeline.sync import Monitor

# How long the wire may be taken by a request that waits for its reply before it is not waited for any more.
PATIENCE_S = 0.02
# How long batches may be written to disk for a flush that ended before they were delivered.
BACK_UP_S = 0.05


class Goal:
    """What is waited for: every outcome, or (`is_wire`) that everything is on the wire. With `hastens` further
    connections are used where the wire is taken. `forgives_silence`: who has everything on the wire and does not answer
    in time is not taken for down, because nobody will wait for replies again."""

    __slots__ = ("forgives_silence", "hastens", "is_wire")

    def __init__(self, is_wire: bool = False, hastens: bool = True, forgives_silence: bool = False) -> None:
        self.is_wire = is_wire
        self.hastens = hastens
        self.forgives_silence = forgives_silence


WIRE = Goal(is_wire=True)
REPLIES = Goal()
FIRST_REPLIES = Goal(forgives_silence=True)
# At the end of the process, or where it is only a glance: nothing is done for it.
OUTCOMES = Goal(hastens=False)


class Waits:
    """What all waits for one destination share. `monitor` guards `sender`, `patience` and `lanes`; `is_busy` says that
    it catches up with what lies on disk: that takes its time, nobody waits for it, and it is no failure."""

    __slots__ = ("clock", "is_busy", "lanes", "monitor", "patience", "sender", "tell")

    def __init__(
        self,
        sender: Sender,
        monitor: Monitor,
        patience: Patience,
        lanes: Lanes,
        clock: Clock,
        tell: Tell,
        is_busy: Callable[[], bool],
    ) -> None:
        self.sender = sender
        self.monitor = monitor
        self.patience = patience
        self.lanes = lanes
        self.clock = clock
        self.tell = tell
        self.is_busy = is_busy


class Wait:
    """One destination is waited for: until everything that was offered before `begin` has come as far as `goal` says,
    up to `until_s`. In vain it counts as the destination's failure where it had the whole time (`full`), or all such
    waits together had it. With `backs_up` what is in memory then is written to disk as well: after it the sandbox is
    frozen. `begin`, `be_patient`, `finish` and `end` are called in this order."""

    __slots__ = (
        "_backs_up",
        "_began_s",
        "_full",
        "_given_s",
        "_goal",
        "_is_hasty",
        "_is_on",
        "_number",
        "_of",
        "until_s",
    )

    def __init__(self, of: Waits, goal: Goal, until_s: float, full: bool, backs_up: bool = False) -> None:
        self._of = of
        self._goal = goal
        self._full = full
        self._backs_up = backs_up
        self._is_on = self._is_hasty = False
        self._number = 0
        self._began_s = self._given_s = 0.0
        self.until_s = until_s

    def begin(self) -> None:
        """From now on. Does not wait."""
        of = self._of
        with of.monitor:
            self._number = of.sender.accepted
            self._began_s = of.clock.monotonic_s()
            self._given_s = self.until_s - self._began_s
            self._is_on = of.sender.availability.is_up and not of.is_busy()
            if self._is_on:
                self.until_s = of.patience.until_s(self._began_s, self.until_s)
            if not of.patience.answers_within(PATIENCE_S):
                self._hasten()

    def be_patient(self) -> None:
        """Leave the wire to a request whose reply may come at any moment; a server that answers at once need not be
        able to serve two. Then, or at once where replies are slow, a further connection is used."""
        of = self._of
        if not self._is_on or self._is_hasty or not self._goal.hastens:
            return
        soon_s = min(self.until_s, self._began_s + PATIENCE_S)
        with of.monitor:
            of.monitor.wait_until(lambda: self._is_written or self._is_vain, of.clock, soon_s)
            if not self._is_written:
                self._hasten()

    def finish(self) -> bool:
        """Whether it has come so far, waiting for it."""
        of = self._of
        with of.monitor:
            notices: list[Notice] = []
            if self._is_on:
                of.monitor.wait_until(lambda: self._is_reached or self._is_vain, of.clock, self.until_s)
                notices = self._judged()
            is_reached = self._is_reached
            if self._is_on and self._backs_up and not is_reached:
                self._back_up()
            self._calm()
        of.tell(notices)
        return is_reached

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        with self._of.monitor:
            self._calm()

    # -- the caller has the lock

    @property
    def _is_written(self) -> bool:
        return self._of.sender.is_written(self._number)

    @property
    def _is_reached(self) -> bool:
        return self._is_written if self._goal.is_wire else self._of.sender.is_settled(self._number)

    @property
    def _is_vain(self) -> bool:
        """It is down with no attempt due before the end, or all connections are taken by requests that may never be
        answered."""
        state = self._of.sender.availability
        if not state.is_up:
            return state.next_attempt_s >= self.until_s
        return self._goal.is_wire and self._of.patience.is_unproven and self._of.lanes.are_taken

    def _judged(self) -> list[Notice]:
        """What a wait in vain means."""
        of, patience = self._of, self._of.patience
        if self._is_reached or (of.sender.availability.is_up and self._is_vain):
            return []
        # Another destination may have been waited for beyond this one's time.
        now_s = min(of.clock.monotonic_s(), max(self.until_s, self._began_s))
        if not patience.is_used_up(self._began_s, now_s, self._given_s) and not self._full:
            return []
        if self._goal.forgives_silence and self._is_written and of.sender.availability.is_up:
            patience.leave_unproven()
            of.sender.note_silence()
            return []
        patience.is_unproven = False
        return of.sender.wait_expired(of.clock.monotonic_s(), of.clock.wall_s())

    def _back_up(self) -> None:
        clock = self._of.clock
        until_s = min(clock.monotonic_s(), self._began_s + self._given_s) + BACK_UP_S
        while clock.monotonic_s() < until_s and self._of.sender.back_up():
            pass

    def _hasten(self) -> None:
        if self._is_on and self._goal.hastens:
            self._is_hasty = True
            self._of.sender.make_haste(True)
            self._of.lanes.join()

    def _calm(self) -> None:
        if self._is_hasty:
            self._is_hasty = False
            self._of.sender.make_haste(False)


def wait_for_all(waits: Sequence[Wait]) -> bool:
    """Whether all have come as far as they should. All begin at once, and each has its time to itself: whatever becomes
    of one is another's neither loss nor gain."""
    try:
        for wait in waits:
            wait.begin()
        for wait in waits:
            wait.be_patient()
        reached = [wait.finish() for wait in sorted(waits, key=lambda one: one.until_s)]  # each, whatever others say
        return all(reached)
    finally:
        for wait in waits:
            wait.end()
