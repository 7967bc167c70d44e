"""Running the emulator's coroutines: the fastest event loop there is, and an end that cleans up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_COLLECT_EVERY = 20_000
"""Objects more than were given back: Python's own threshold of 700 is passed in every few invocations."""

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class TerminatedError(BaseException):
    """The process was told to end, and has cleaned up. `signal` says by which signal."""

    def __init__(self, number: signal.Signals) -> None:
        self.signal = number
        super().__init__(number.name)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, or None for asyncio's own where uvloop cannot be loaded.

    Loading it takes some 10 ms, so only what runs an environment asks for it.
    """
    try:
        import uvloop
    except ImportError:  # no wheel for this machine and no compiler: slower invocations are no reason to refuse them
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def keep_what_is_there() -> None:
    """For a process that lives long: what has been loaded by now stays, so the collector need not look at it again
    and again, and an invocation leaves no cycles that would have to be found soon."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end.

    Ctrl-C raises `KeyboardInterrupt`, as with `asyncio.run`; SIGTERM and SIGHUP raise `TerminatedError`. In all
    cases `async with` blocks are left first, so that environments are shut down.
    """
    received: list[signal.Signals] = []

    def end(number: signal.Signals, task: asyncio.Task[Any]) -> None:
        received.append(number)
        task.cancel()

    async def guarded() -> T:
        task = asyncio.current_task()
        assert task is not None
        for number in _ENDING_SIGNALS:
            with contextlib.suppress(RuntimeError, ValueError):  # not the main thread
                asyncio.get_running_loop().add_signal_handler(number, end, number, task)
        return await main

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        try:
            return runner.run(guarded())
        except asyncio.CancelledError:
            if received:
                raise TerminatedError(received[0]) from None
            raise
