"""The threads that send to one destination, each with a connection of its own.

The first of them does all there is to do. Further ones join when somebody waits for the wire while it is taken by a
request whose reply is slow. None is started before that happens.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.clock import Clock
    from tailrace.pipeline.interfaces import Transport
    from tailrace.pipeline.sealed import Sealed
    from tailrace.pipeline.sending.attempt import Attempts
    from tailrace.pipeline.sending.sender import Sender, Step
    from tailrace.pipeline.sync import Monitor

    Spawn = Callable[[Callable[[], None]], object]

# Requests on their way to one destination at once, at most: as many as it takes to write the last lines of invocations
# that follow each other within a tenth of a second while replies take most of one; and where no reply has come yet.
MAX_LANES = 8
MAX_UNPROVEN_LANES = 4


class Lane:
    """One thread's connection, and whether it is counted among those that live."""

    __slots__ = ("is_counted", "transport")

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.is_counted = False


class Lanes:
    """`monitor` guards all of it; who calls `join` or asks has it. `express` makes the transports of further threads:
    without it there are none."""

    __slots__ = (
        "_attempts",
        "_busy",
        "_clock",
        "_express",
        "_first",
        "_monitor",
        "_n",
        "_refused",
        "_sender",
        "_spawn",
        "_thaws",
        "_to_run",
    )

    def __init__(
        self,
        sender: Sender,
        monitor: Monitor,
        clock: Clock,
        attempts: Attempts,
        transport: Transport,
        express: Callable[[], Transport] | None,
    ) -> None:
        self._sender = sender
        self._monitor = monitor
        self._clock = clock
        self._attempts = attempts
        self._express = express
        self._first = Lane(transport)
        self._spawn: Spawn | None = None
        self._n: int | None = None  # threads that send; None before the first of them
        self._busy: list[Sealed] = []  # what they have on its way
        self._refused = False  # the last thread that was asked for was not to be had
        self._to_run: Callable[[], None] | None = None  # by the first thread, until that is there
        self._thaws = 0

    def start(self, spawn: Spawn, run: Callable[[], None]) -> bool:
        """Start the first thread; `spawn` starts one that runs what it is given, now and when further ones are needed.
        Where none is to be had (False) nothing is sent until `ask_again`, and the end is not kept waiting."""
        with self._monitor:
            self._spawn = spawn
            self._to_run = run
            self.ask_again()
            self._n = self._n or 0
            return self._to_run is None

    def ask_again(self) -> None:
        """The first thread may not have been to be had."""
        if self._to_run is not None and self._started(self._first, self._to_run):
            self._to_run = None

    def join(self) -> None:
        """Wake the further threads, and start one more where all of them have something to do."""
        sender, n = self._sender, self._n or MAX_LANES
        if sender.wants_express and n <= 1 + sender.n_express < self._most and self._express and self._spawn:
            lane = Lane(self._express())
            self._started(lane, lambda: self._run(lane, lambda _: sender.next_express()))
        self._monitor.notify_all()

    def _started(self, lane: Lane, run: Callable[[], None]) -> bool:
        """It counts from the moment when its thread is there: what is never there is not waited for."""
        assert self._spawn is not None
        try:
            self._spawn(run)
        except RuntimeError:
            self._refused = True
            return False
        self._refused = False
        if not lane.is_counted:
            self._count(lane)
        return True

    @property
    def are_taken(self) -> bool:
        """Whether every thread that there may be has written a request, and waits for its reply."""
        most = min(self._most, self._n or 1) if self._refused else self._most
        return len(self._busy) >= most and all(one.is_written for one in self._busy)

    @property
    def _most(self) -> int:
        if self._express is None:
            return 1
        return MAX_UNPROVEN_LANES if self._attempts.patience.is_unproven else MAX_LANES

    def thawed(self) -> None:
        """Connections that idled are not trusted any more."""
        self._thaws += 1

    def wait_left(self, until_s: float) -> bool:
        """Whether all threads have left, by then at the latest."""
        return self._monitor.wait_until(lambda: self._n == 0, self._clock, until_s)

    # -- the threads

    def enter(self) -> None:
        """The first thread is there."""
        with self._monitor:
            if not self._first.is_counted:
                self._count(self._first)

    def run(self) -> None:
        """The first thread's life."""
        self._run(self._first, self._next_step)

    def _count(self, lane: Lane) -> None:
        lane.is_counted = True
        self._n = (self._n or 0) + 1

    def _next_step(self, now_s: float) -> Step:
        step = self._sender.next_step(now_s)
        if self._sender.wants_express:
            self.join()
        return step

    def _run(self, lane: Lane, next_step: Callable[[float], Step]) -> None:
        with self._monitor:
            if not lane.is_counted:  # it failed, and runs again
                self._count(lane)
        thaws = 0
        try:
            while (sealed := self._next_batch(next_step)) is not None:
                if thaws != self._thaws:
                    thaws = self._thaws
                    lane.transport.close()  # it opens again when it is used
                self._attempt(sealed, lane.transport)
        finally:
            lane.transport.close()
            with self._monitor:
                lane.is_counted = False
                self._n = (self._n or 1) - 1
                self._monitor.notify_all()

    def _attempt(self, sealed: Sealed, transport: Transport) -> None:
        try:
            self._attempts.make(sealed, transport)
        finally:
            with self._monitor:
                self._busy = [other for other in self._busy if other is not sealed]

    def _next_batch(self, next_step: Callable[[float], Step]) -> Sealed | None:
        """Wait for a batch that is due. None: leave."""
        with self._monitor:
            while True:
                now_s = self._clock.monotonic_s()
                step = next_step(now_s)
                if step.sealed is not None:
                    self._busy.append(step.sealed)
                if step.sealed is not None or step.finished:
                    return step.sealed
                self._monitor.wait(None if step.until_s is None else step.until_s - now_s)
