"""One invocation's lines of the log stream, as far as they are kept."""

from __future__ import annotations

import sys
from collections import deque

from tailrace.emulator.machine.effects import WriteLog
from tailrace.emulator.newest import Newest

TAIL_BYTES = 4096
"""What an invoker may ask for (lambda-platform.md 8.1)."""

MAX_LOG_BYTES = 8 * 1_048_576
"""Of memory: some 30,000 lines of a hundred characters."""

_EFFECT_BYTES = 80
_EXTENSION = "extension"


def memory_of_line(line: WriteLog) -> int:
    """About how many bytes it takes in memory."""
    return _EFFECT_BYTES + sys.getsizeof(line.text)


class InvocationLog:
    """The newest lines, and in any case those that make up the tail: a talkative extension does not push them out."""

    __slots__ = ("_tail", "_tail_bytes", "lines")

    def __init__(self, max_bytes: int = MAX_LOG_BYTES) -> None:
        self.lines: Newest[WriteLog] = Newest(max_bytes, memory_of_line)
        self._tail: deque[tuple[str, int]] = deque()
        self._tail_bytes = 0

    def append(self, line: WriteLog) -> None:
        self.lines.append(line)
        if line.source == _EXTENSION:
            return
        text, tail = line.text, self._tail
        n_bytes = 1 + (len(text) if text.isascii() else len(_encoded(text)))
        tail.append((text, n_bytes))
        self._tail_bytes += n_bytes
        while self._tail_bytes - tail[0][1] >= TAIL_BYTES:
            self._tail_bytes -= tail.popleft()[1]

    def tail(self) -> bytes:
        """START to REPORT with the function's lines between, the last 4,096 bytes (lambda-platform.md 8.1, 9.2)."""
        return b"".join(_encoded(text) + b"\n" for text, _ in self._tail)[-TAIL_BYTES:]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
