"""Waiting for a condition with a limit, instead of for time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tailrace.errors import TailraceError

T = TypeVar("T")

LOOK_EVERY_S = 0.005


class ConditionNotMetError(TailraceError, AssertionError):
    """What a test waited for did not come. An `AssertionError`, because that is what fails a test."""


def until(condition: Callable[[], T], timeout_s: float, explain: Callable[[], str]) -> T:
    """What `condition` returns as soon as that is true. It is asked again and again, and once at the very end.

    Raises `ConditionNotMetError` with the words of `explain` after `timeout_s`.
    """
    __tracebackhide__ = True
    deadline_s = time.monotonic() + timeout_s
    while True:
        asked_s = time.monotonic()
        value = condition()
        if value:
            return value
        now_s = time.monotonic()
        if now_s >= deadline_s:
            raise ConditionNotMetError(explain())
        # a costly condition is asked less often, so that it does not keep the environment from working
        time.sleep(min(max(LOOK_EVERY_S, now_s - asked_s), deadline_s - now_s))
