"""What processes print: bytes from a pipe become whole lines."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable

MAX_LINE_BYTES = 1024 * 1024
"""Longer lines are cut here, and what follows is a line of its own: the size of one event in CloudWatch."""

PIPE_BYTES = 1024 * 1024
"""Wished size of the pipe, so that a burst of lines does not make the function wait for us."""

_READ_BYTES = 64 * 1024


class LineAssembler:
    """Cuts a stream of bytes into lines. Invalid UTF-8 is replaced; only the line feed ends a line.

    A carriage return stays: the Python runtime joins the lines of one error report with it
    (lambda-platform.md 1.6).
    """

    __slots__ = ("_max_bytes", "_parts", "_size")

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes."""
        pieces = data.split(b"\n")
        lines: list[str] = []
        for piece in pieces[:-1]:
            self._append(piece, lines)
            lines.append(self._take())
        self._append(pieces[-1], lines)
        return lines

    def finish(self) -> list[str]:
        """The last line, where the stream ended without a line feed."""
        return [self._take()] if self._size else []

    def _append(self, piece: bytes, lines: list[str]) -> None:
        while self._size + len(piece) > self._max_bytes:
            room = self._max_bytes - self._size
            self._parts.append(piece[:room])
            piece = piece[room:]
            lines.append(self._take())
        if piece:
            self._parts.append(piece)
            self._size += len(piece)

    def _take(self) -> str:
        text = b"".join(self._parts).decode("utf-8", "replace")
        self._parts = []
        self._size = 0
        return text


class OutputPipe:
    """One process's standard output and standard error.

    Both lead into one pipe, because that is the only way to keep the order in which the process wrote
    to them. `write_fd` is for the child and is closed here once it has started. `on_lines` is told of all lines of
    one read at once.
    """

    def __init__(self, on_lines: Callable[[list[str]], None]) -> None:
        self._on_lines = on_lines
        self._lines = LineAssembler()
        self.read_fd, self.write_fd = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # above the user's limit for pipes: the default size will do
            fcntl.fcntl(self.read_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self.read_fd, False)
        self._capacity = fcntl.fcntl(self.read_fd, fcntl.F_GETPIPE_SZ)
        self.ended = False

    def close_write_end(self) -> None:
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def drain(self) -> None:
        """Deliver every line written before this call.

        What was written by then fits into the pipe, so reading stops after one pipe's size: a process that
        prints without end does not hold up everybody else.
        """
        budget = self._capacity
        while budget > 0 and not self.ended:
            n_bytes = self.read_some()
            if not n_bytes:
                return
            budget -= n_bytes

    def read_some(self) -> int:
        """Deliver the lines of one read. Returns its bytes, 0 when there was nothing to read."""
        try:
            data = os.read(self.read_fd, _READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self.ended = True
            self.finish_line()
            return 0
        self._deliver(self._lines.feed(data))
        return len(data)

    def finish_line(self) -> None:
        """Deliver what was written of a line that has not ended."""
        self._deliver(self._lines.finish())

    def close(self) -> None:
        """Close the pipe; an unfinished line is delivered."""
        self.close_write_end()
        if self.read_fd < 0:
            return
        self.drain()
        self.finish_line()
        self.ended = True
        os.close(self.read_fd)
        self.read_fd = -1

    def _deliver(self, lines: list[str]) -> None:
        if lines:
            self._on_lines(lines)
