"""`AWS_LAMBDA_EXEC_WRAPPER`: a script that starts a managed runtime in place of the platform."""

from __future__ import annotations

from collections.abc import Sequence

VARIABLE = "AWS_LAMBDA_EXEC_WRAPPER"

_START = """\
wrapper=$1 given=$2; shift 2
if [ ! -f "$wrapper" ]; then echo "$given: does not exist"; exit 127; fi
if [ ! -x "$wrapper" ]; then echo "$given: is not an executable"; exit 126; fi
exec "$wrapper" "$@"
"""
"""What the managed runtimes' start program does with the variable (text and exit status seen in AWS's published
images for Python 3.10, 3.11, Node.js 14 and 18). It is looked for at every start, as there."""


def wrapped(command: Sequence[str], wrapper: str, given: str) -> tuple[str, ...]:
    """The command line that hands `command` to `wrapper` as its arguments.

    `given` is the variable's value, which a failure names; `wrapper` the same file as its process finds it here.
    """
    return ("/bin/sh", "-c", _START, "bootstrap", wrapper, given, *command)
