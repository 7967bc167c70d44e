"""Running coroutines in tests, always with a limit, and waiting for conditions instead of for time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], limit_s: float = 20) -> T:
    """Run to the end, or fail after `limit_s`."""

    async def limited() -> T:
        return await asyncio.wait_for(main, limit_s)

    return asyncio.run(limited())


async def until(condition: Callable[[], bool], limit_s: float = 10) -> None:
    """Wait until the condition holds, looking again whenever the event loop comes round."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.002)
