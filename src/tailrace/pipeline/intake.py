"""Telemetry bodies between the listener and the worker: who gets in, who waits at the door, who is refused.

What got in is acknowledged, so it must have a place: here until the worker comes to it, and behind it in the memory or
the spool of a destination. With neither the answer is held for a while and then refused, and the platform, which has
the records still, sends them again.
"""

from __future__ import annotations

from tailrace.pipeline.ledger import ALL_FULL, INTAKE_FULL, SHUTDOWN
from tailrace.pipeline.record_count import record_count
from tailrace.pipeline.sync import Monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.clock import Clock
    from tailrace.pipeline.fanout import Room
    from tailrace.pipeline.interfaces import Diagnostics
    from tailrace.pipeline.ledger import Ledger
    from tailrace.pipeline.progress import Progress
    from tailrace.pipeline.sending.exporter import Exporter
    from tailrace.pipeline.spooling.account import Account


# Three full posts: enough for the worker's pace to be uneven. Under load this much is always there.
MAX_BYTES = 1_048_576
# What a record has more than its event when it is encoded: request id, function name, number.
ADDED_BYTES = 150
# How long an answer is held at most. Two budgets of that length are earned back slowly, each second by so much: one of
# holding in vain, after which a post is refused at once; one of the time by which invocations may be longer, because
# their end may be in a post that is held. A burst that finds room in the end is paced for as long as it takes.
HOLD_S = 1.0
EARNED_BACK = 0.1
# How often it looks whether a destination has got room.
_LOOK_S = 0.05


class Oversized:
    """A body that was read to its end but not kept."""

    __slots__ = ("n_bytes",)

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes


class HoldBudget:
    """How much time is left for holding: `most_s` at a stretch, earned back slowly. Pure."""

    __slots__ = ("_as_of_s", "_left_s", "_most_s")

    def __init__(self, now_s: float, most_s: float = HOLD_S) -> None:
        self._most_s = most_s
        self._left_s = most_s
        self._as_of_s = now_s

    def left_s(self, now_s: float) -> float:
        return min(self._most_s, self._left_s + EARNED_BACK * (now_s - self._as_of_s))

    def used(self, began_s: float, now_s: float) -> None:
        """From `began_s` until `now_s`."""
        self._left_s = max(0.0, self.left_s(began_s) - (now_s - began_s))
        self._as_of_s = now_s


class Body:
    """What was posted, and what its records will come to when they are encoded: estimated until it is split.
    `promised` are the destinations that have room for them."""

    __slots__ = ("content", "n_bytes", "n_encoded_bytes", "n_records", "promised")

    def __init__(self, content: bytes | Oversized) -> None:
        self.content = content
        self.promised: Sequence[Exporter] = ()
        self.n_bytes, self.n_records = 0, 1
        if isinstance(content, bytes):
            self.n_bytes, self.n_records = len(content), record_count(content)
        self.n_encoded_bytes = self.n_bytes + self.n_records * ADDED_BYTES if self.n_bytes else 0


class Intake:
    """First in, first out, for many listeners' threads and one worker.

    Full means: what waits and the newcomer are more than `max_bytes` together, or no destination has room for both
    (`make_room` says; see `Fanout.make_room`). A single body of any size gets in when nothing waits, or it never could.
    """

    __slots__ = (
        "_account",
        "_bodies",
        "_clock",
        "_closed",
        "_delay_budget",
        "_diagnostics",
        "_encoded_bytes",
        "_hold_budget",
        "_in_work",
        "_is_hopeful",
        "_ledger",
        "_make_room",
        "_max_bytes",
        "_monitor",
        "_progress",
        "_refused",
        "_waiting_bytes",
        "admitted_records",
    )

    def __init__(
        self,
        ledger: Ledger,
        progress: Progress,
        clock: Clock,
        max_bytes: int = MAX_BYTES,
        hold_s: float = HOLD_S,
        account: Account | None = None,
        make_room: Callable[[int, int], Room] | None = None,
        diagnostics: Diagnostics | None = None,
    ) -> None:
        self._account = account
        self._ledger = ledger
        self._progress = progress
        self._clock = clock
        self._max_bytes = max_bytes
        self._hold_budget = HoldBudget(clock.monotonic_s(), hold_s)
        self._delay_budget = HoldBudget(clock.monotonic_s(), hold_s)
        self._is_hopeful = True
        self._make_room = make_room
        self._diagnostics = diagnostics
        self._monitor = Monitor()
        self._bodies: list[Body] = []
        self._waiting_bytes = 0
        self._encoded_bytes = 0  # of what waits, and of what the worker may not have brought to the destinations yet
        self._in_work: Body | None = None
        self._refused = 0  # posts, since the last one that got in
        self._closed = False
        self.admitted_records = 0  # ever

    def admit(self, content: bytes | Oversized) -> bool:
        """True when it is in memory and will be processed.

        With no room it waits for some and then refuses, counted in the ledger's row ``refused``.
        """
        body = Body(content)
        with self._monitor:
            obstacle = self._held_up(body)
            refused = self._refused
            self._refused = 0 if obstacle is None else refused + 1
            if obstacle is None:
                if self._account is not None:
                    self._account.admitted(body.n_records)
                self.admitted_records += body.n_records
                self._bodies.append(body)
                self._waiting_bytes += body.n_bytes
                self._encoded_bytes += body.n_encoded_bytes
                self._progress.admitted()
                self._monitor.notify_all()
        if obstacle is not None:
            self._ledger.refuse(obstacle)
            self._progress.withheld()
            if self._account is not None:
                self._account.note()
        self._say(obstacle, refused)
        return obstacle is None

    def take(self) -> Body | None:
        """The next body; waits for it. None once closed and empty. The one before it is with the destinations then."""
        with self._monitor:
            if self._in_work is not None:
                self._encoded_bytes -= self._in_work.n_encoded_bytes
                self._in_work = None
                self._monitor.notify_all()
            while not self._bodies and not self._closed:
                self._monitor.wait()
            if not self._bodies:
                return None
            body = self._bodies.pop(0)
            self._waiting_bytes -= body.n_bytes
            self._in_work = body
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

    def _held_up(self, body: Body) -> str | None:
        """Wait for room as long as the budget lasts. Why there is none then; None: it may come in."""
        began_s = now_s = self._clock.monotonic_s()
        until_s = began_s + self._hold_budget.left_s(began_s)
        release_s = began_s + self._delay_budget.left_s(began_s)
        obstacle, is_final = self._obstacle(body)
        while obstacle is not None and obstacle != SHUTDOWN and now_s < until_s:
            if not self._is_hopeful or now_s >= release_s:
                self._progress.withheld()
            self._monitor.wait(min(_LOOK_S, until_s - now_s))
            obstacle, is_final = self._obstacle(body)
            now_s = self._clock.monotonic_s()
        self._delay_budget.used(began_s, min(now_s, release_s))
        if obstacle is not None:
            self._hold_budget.used(began_s, now_s)
        return obstacle if is_final else None

    def _obstacle(self, body: Body) -> tuple[str | None, bool]:
        """What stands in its way, and whether that is a reason to refuse it, or only to let it wait a little."""
        self._is_hopeful = True
        if self._closed:
            return SHUTDOWN, True
        if self._bodies and self._waiting_bytes + body.n_bytes > self._max_bytes:
            return INTAKE_FULL, True
        if self._make_room is None or not body.n_bytes:
            return None, False
        room = self._make_room(body.n_encoded_bytes, self._encoded_bytes)
        body.promised = room.promised
        self._is_hopeful = room.is_hopeful
        return (None, False) if room.is_enough else (ALL_FULL, not room.is_some)

    def _say(self, obstacle: str | None, refused: int) -> None:
        """One line when it begins to refuse and one when that is over."""
        if self._diagnostics is None:
            return
        if obstacle is not None and obstacle != SHUTDOWN and not refused:
            message = "telemetry is refused for now, and stays with the platform: there is no room for more"
            self._diagnostics("warn", message, reason=obstacle)
        elif obstacle is None and refused:
            self._diagnostics("info", "telemetry is taken again", refusedPosts=refused)
