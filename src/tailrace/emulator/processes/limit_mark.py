"""A mark that a process passes on to everything it starts, and that only a deliberate call takes off.

A daemon may leave its parent, its session, its variables and its output behind; its resource limits stay. So the
soft limit of the bytes in POSIX message queues is lowered by a few bytes, by another number for each of our
processes. It can be read of every process of the same user, of one that has ended but is not reaped, too.
"""

from __future__ import annotations

import contextlib
import itertools
import resource

_LIMIT = resource.RLIMIT_MSGQUEUE
_MARKS = 1 << 15
_ROOM_BYTES = 1 << 16
"""Below such a limit nobody can be marked and still have message queues."""

_numbers = itertools.count()


def put_on(pid: int) -> int | None:
    """Mark a process that was just started; the mark, or None where that is not possible."""
    try:
        soft, hard = resource.prlimit(pid, _LIMIT)
        if 0 <= soft < _ROOM_BYTES:
            return None
        base = soft if soft != resource.RLIM_INFINITY else _ROOM_BYTES
        mark = base - 1 - next(_numbers) % _MARKS
        resource.prlimit(pid, _LIMIT, (mark, hard))
    except (OSError, ValueError):
        return None
    return mark


def of(pid: int) -> int | None:
    """What may be the mark of a process; None where it is gone or not ours to look at."""
    with contextlib.suppress(OSError, ValueError):
        return resource.prlimit(pid, _LIMIT)[0]
    return None
