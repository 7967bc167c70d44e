"""A value that comes once: heard of at once by those who registered, or awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Outcome(Generic[T]):
    """A future without the event loop's turn between the result and those who wait for it.

    Every invocation has two of them, and mostly nobody awaits either: so there is a real future only for who does.
    """

    __slots__ = ("_callbacks", "_error", "_future", "_is_done", "_value")

    def __init__(self) -> None:
        self._is_done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._future: asyncio.Future[T] | None = None

    def done(self) -> bool:
        return self._is_done

    def result(self) -> T:
        """Raises what it failed with, and `asyncio.InvalidStateError` while there is nothing."""
        if not self._is_done:
            raise asyncio.InvalidStateError("there is no outcome yet")
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # it is one: it was set

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call back as soon as it is done, which may be now. Callbacks do not raise."""
        if self._is_done:
            callback()
        else:
            self._callbacks.append(callback)

    def set(self, value: T) -> None:
        """Without effect when it is done already."""
        if not self._is_done:
            self._value = value
            self._settle()

    def fail(self, error: BaseException) -> None:
        """Without effect when it is done already."""
        if not self._is_done:
            self._error = error
            self._settle()

    def _settle(self) -> None:
        self._is_done = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
        if self._future is not None:
            self._tell(self._future)

    def future(self) -> asyncio.Future[T]:
        """For `asyncio.wait`. It is everybody's: not to be cancelled."""
        if self._future is None:
            self._future = asyncio.get_running_loop().create_future()
            self._future.add_done_callback(_mark_retrieved)
            if self._is_done:
                self._tell(self._future)
        return self._future

    def _tell(self, future: asyncio.Future[T]) -> None:
        if future.done():
            return
        if self._error is not None:
            future.set_exception(self._error)
        else:
            future.set_result(self._value)  # type: ignore[arg-type]  # as above

    def __await__(self) -> Generator[Any, None, T]:
        """Whoever stops waiting leaves it to the others."""
        return asyncio.shield(self.future()).__await__()


def _mark_retrieved(future: asyncio.Future[Any]) -> None:
    """Whoever waited may have stopped."""
    if not future.cancelled():
        future.exception()
