"""How errors are told: what is wrong, where, what to do. A traceback goes to a file, never to the screen."""

from __future__ import annotations

import sys

PREFIX = "tailrace: "


def say_error(sentence: str, remedy: str = "", exit_code: int = 2) -> int:
    """Write one error to standard error, its remedy on lines of their own, and return `exit_code`."""
    lines = [PREFIX + sentence]
    lines += [" " * len(PREFIX) + line for line in remedy.splitlines()]
    sys.stderr.write("\n".join(lines) + "\n")
    return exit_code


def say_warning(sentence: str) -> None:
    """Write one warning to standard error."""
    sys.stderr.write(f"{PREFIX}{sentence}\n")


def report_fault(error: BaseException) -> int:
    """A fault of our own: keep the details in a file, ask for a report, and return exit code 70."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="tailrace-fault-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    return say_error(
        f"this is a fault of Tailrace itself ({type(error).__name__}), please report it",
        remedy=f"the details are in {file.name}",
        exit_code=70,
    )
