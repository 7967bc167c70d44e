"""The event loop behind the blocking API: one thread for all environments of the process, while there are any.

One, because what environments share (being the subreaper, the children of this process) is used from one thread only.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tailrace.emulator.run_loop import loop_factory

T = TypeVar("T")

_lock = threading.Lock()
_users = 0
_shared: LoopThread | None = None


def acquire() -> LoopThread:
    """The running loop; whoever calls this calls `release` as well."""
    global _shared, _users
    with _lock:
        if _shared is None:
            _shared = LoopThread()
        _users += 1
        return _shared


def release() -> None:
    """Undo one `acquire`; the last one ends the thread."""
    global _shared, _users
    with _lock:
        _users -= 1
        if _users == 0 and _shared is not None:
            _shared.stop()
            _shared = None


class LoopThread:
    """An event loop in a thread of its own. Its methods are for other threads, and block."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        started: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._main, args=(started,), name="tailrace", daemon=True)
        self._thread.start()
        self._loop = started.result()

    def _main(self, started: concurrent.futures.Future[asyncio.AbstractEventLoop]) -> None:
        runner = asyncio.Runner(loop_factory=loop_factory())
        try:
            loop = runner.get_loop()
        except OSError as error:  # no descriptors left, for example
            started.set_exception(error)
            return
        with runner:
            started.set_result(loop)
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self._stopping.wait()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end. A caller that is interrupted cancels it."""
        future = asyncio.run_coroutine_threadsafe(main, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def call(self, function: Callable[[], T]) -> T:
        """Call a function between two steps of the loop, where nothing changes meanwhile."""

        async def call() -> T:
            return function()

        return self.run(call())

    def stop(self) -> None:
        """End what still runs, then the thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
