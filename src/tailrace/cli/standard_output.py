"""The standard output of commands: where it takes nothing more, that is told apart from all else that may fail."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

EXIT_CODE = 74
"""An error of input or output, by the custom of sysexits.h."""


class StandardOutputError(OSError):
    """A disk that is full, a pipe that nobody reads any more; `str()` is one sentence."""

    def __str__(self) -> str:
        return f"standard output: {(self.strerror or 'it takes nothing').lower()}"


class _Watched(io.FileIO):
    """Fails once: what is in the buffers above is of no use then, and must not fail again when they are closed."""

    failure: StandardOutputError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        if self.failure is not None:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BlockingIOError:
            raise  # the buffer above knows what to do
        except OSError as error:
            self.failure = StandardOutputError(error.errno, error.strerror)
            raise self.failure from None


def watch() -> None:
    """From now on writing to standard output raises `StandardOutputError` and no other `OSError`."""
    own = sys.stdout
    if not isinstance(own, io.TextIOWrapper):
        return  # there is none, or somebody collects it
    own.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Watched(own.fileno(), "wb", closefd=False)),
        own.encoding,
        own.errors,
        line_buffering=own.line_buffering or own.write_through,
    )


def flush() -> None:
    """Raises `StandardOutputError`, also where writing failed before."""
    if sys.stdout is None:
        return
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Watched) and raw.failure is not None:
        raise raw.failure
