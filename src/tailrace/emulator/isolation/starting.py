"""What every way to start processes has in common."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

ExitHandler = Callable[[int], None]
"""Told how a process ended: its exit code, or minus the number of the signal. Called on the event loop's thread."""

Attach = Callable[[int], None]
"""Puts a process (its pid here, outside) under limits before it gets to do anything."""


class ProcessStartError(Exception):
    """The operating system refused. `error` is the errno's name, `detail` its text."""

    def __init__(self, error: str, detail: str) -> None:
        self.error = error
        self.detail = detail
        super().__init__(detail)


class ProcessStarter(Protocol):
    """Starts the processes of one environment and reaps them."""

    @property
    def ancestor(self) -> int | None:
        """The process below which everything of the environment hangs; None where that is this one."""

    def start(
        self, command: Sequence[str], environ: Mapping[str, str], output_fd: int, on_exit: ExitHandler, attach: Attach
    ) -> int:
        """Start a process whose two output streams lead to `output_fd`; returns its pid as seen from here.

        Raises `ProcessStartError`.
        """

    def close(self) -> None:
        """Give everything back. Processes that still run are not heard of any more."""


def start_error(error: int, said: str, program_exists: bool) -> ProcessStartError:
    """What the operating system said, and where its words mislead, what they mean."""
    code = errno.errorcode.get(error, "EUNKNOWN")
    if error == errno.ENOEXEC:
        said = f"{said}; a script's first line names its interpreter, for example #!/bin/sh"
    elif error == errno.ENOENT and program_exists:
        said = f"{said}: the interpreter that its first line names; install it, or correct the line"
    return ProcessStartError(code, said)
