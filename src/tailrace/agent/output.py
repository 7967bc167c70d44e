"""The agent's way to standard output. Nobody who says something waits for whoever reads it, or does not."""

from __future__ import annotations

import _thread

from tailrace.pipeline.sync import Monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.clock import Clock

# A pipe that is not read takes 64 KiB and then blocks whoever writes. As much again waits here; the rest is lost.
MAX_WAITING_BYTES = 65_536
# At the end: how long the last lines may take. Without a reader they never get out.
LAST_WAIT_S = 0.15


class LineOutput:
    """Hands whole lines to `write` on a thread of its own, which is started with the first of them."""

    __slots__ = ("_before_last", "_clock", "_last", "_lines", "_monitor", "_started", "_waiting_bytes", "_write")

    def __init__(self, write: Callable[[bytes], None], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._monitor = Monitor()
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._started = False
        self._last: bytes | None = None
        self._before_last: Callable[[], None] | None = None

    def put(self, line: bytes) -> None:
        """Take `line` in, unless too much waits already. Never blocks."""
        with self._monitor:
            if self._waiting_bytes + len(line) <= MAX_WAITING_BYTES:
                self._take(line)

    def put_last(self, line: bytes, before: Callable[[], None] | None = None) -> None:
        """The last line before the process leaves, however much waits: take it in, and wait a little for all of them to
        get out. `before` is called right before it is written, and not at all where it never is."""
        with self._monitor:
            self._last, self._before_last = line, before
            self._take(line)
            deadline_s = self._clock.monotonic_s() + LAST_WAIT_S
            self._monitor.wait_until(lambda: not self._lines, self._clock, deadline_s)

    def _take(self, line: bytes) -> None:
        self._lines.append(line)
        self._waiting_bytes += len(line)
        self._monitor.notify_all()
        if not self._started:
            self._started = True
            _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        while True:
            with self._monitor:
                while not self._lines:
                    self._monitor.wait()
                line = self._lines[0]
            if line is self._last and self._before_last is not None:
                self._before_last()
            self._write(line)
            with self._monitor:
                del self._lines[0]
                self._waiting_bytes -= len(line)
                self._monitor.notify_all()
