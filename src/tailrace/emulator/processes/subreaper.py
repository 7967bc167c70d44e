"""Being the parent that orphans fall to: a process whose parent ended becomes our child, not init's."""

from __future__ import annotations

import ctypes
import os

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37

_users = 0
_was_set = False


def _prctl(option: int, argument: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def is_subreaper() -> bool:
    value = ctypes.c_int(0)
    _prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(value))
    return bool(value.value)


def acquire() -> None:
    """Become the subreaper, for as long as anybody who called this has not called `release`."""
    global _users, _was_set
    if _users == 0:
        _was_set = is_subreaper()
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _users += 1


def release() -> None:
    """Undo one `acquire`; the last one restores what was before."""
    global _users
    _users -= 1
    if _users == 0 and not _was_set:
        _prctl(_PR_SET_CHILD_SUBREAPER, 0)
