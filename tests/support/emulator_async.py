"""Running coroutines in tests, always with a limit, and waiting for conditions instead of for time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tailrace.emulator.run_loop import loop_factory

T = TypeVar("T")

STOCK_LOOP = "TAILRACE_TEST_STOCK_LOOP"
"""With this variable set tests run on asyncio's own event loop, as where uvloop cannot be had."""


def run(main: Coroutine[Any, Any, T], limit_s: float = 20) -> T:
    """Run to the end on the loop that users get, or fail after `limit_s`."""

    async def limited() -> T:
        return await asyncio.wait_for(main, limit_s)

    factory = None if os.environ.get(STOCK_LOOP) else loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(limited())


async def until(condition: Callable[[], bool], limit_s: float = 10) -> None:
    """Wait until the condition holds, looking again whenever the event loop comes round."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.002)
