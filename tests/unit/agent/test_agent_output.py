"""The agent's own lines get out in order, and nobody waits for whoever does not read them."""

from __future__ import annotations

import threading

from tailrace.agent.output import MAX_WAITING_BYTES, LineOutput
from tailrace.clock import ManualClock, SystemClock

LIMIT_S = 20.0


class Reader:
    """Takes lines once `gate` is open."""

    def __init__(self, is_reading: bool = True) -> None:
        self.lines: list[bytes] = []
        self.gate = threading.Event()
        if is_reading:
            self.gate.set()
        # time does not run out for a reader that reads
        self.output = LineOutput(self.write, ManualClock() if is_reading else SystemClock())

    def write(self, line: bytes) -> None:
        assert self.gate.wait(LIMIT_S)
        self.lines.append(line)


def test_lines_get_out_in_order_and_the_last_one_is_waited_for() -> None:
    reader = Reader()
    for number in range(20):
        reader.output.put(b"%d\n" % number)
    reader.output.put_last(b"last\n")
    assert reader.lines == [*(b"%d\n" % number for number in range(20)), b"last\n"]


def test_without_a_reader_nobody_waits_and_memory_is_bounded() -> None:
    reader = Reader(is_reading=False)
    line = b"x" * 1023 + b"\n"
    for _ in range(10 * MAX_WAITING_BYTES // len(line)):
        reader.output.put(line)
    reader.output.put_last(b"last\n")
    assert reader.lines == []
    reader.gate.set()
    reader.output.put_last(b"later\n")
    assert (reader.lines[0], reader.lines[-1]) == (line, b"later\n")
    assert len(b"".join(reader.lines)) <= MAX_WAITING_BYTES + len(line)


def test_whoever_must_know_of_the_last_line_is_told_right_before_it_gets_out_and_not_where_it_never_does() -> None:
    told: list[int] = []
    reader = Reader()
    reader.output.put(b"first\n")
    reader.output.put_last(b"last\n", lambda: told.append(len(reader.lines)))
    assert told == [1]

    stuck = Reader(is_reading=False)
    stuck.output.put(b"first\n")
    stuck.output.put_last(b"last\n", lambda: told.append(-1))
    assert told == [1]
    stuck.gate.set()
