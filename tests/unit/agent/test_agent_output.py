"""The agent's own lines get out in order, and nobody waits for whoever does not read them."""

from __future__ import annotations

import threading

from tailrace.agent.output import MAX_WAITING_BYTES, LineOutput
from tailrace.clock import SystemClock

LIMIT_S = 20.0


class Reader:
    """Takes lines once `gate` is open."""

    def __init__(self, is_reading: bool = True) -> None:
        self.lines: list[bytes] = []
        self.gate = threading.Event()
        if is_reading:
            self.gate.set()
        self.output = LineOutput(self.write, SystemClock())

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
    assert reader.lines[0] == line
    assert len(b"".join(reader.lines)) <= MAX_WAITING_BYTES + len(line)
