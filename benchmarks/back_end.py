"""A back end in a process of its own: what it does costs neither the measuring process nor its event loop."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Generic, Self, TypeVar

Answer = TypeVar("Answer")


class BackEndProcess(Generic[Answer]):
    """`with BackEndProcess(serve, *arguments) as back_end:` runs ``serve(pipe, *arguments)`` in a fresh process, which
    sends the number of its port over the pipe, and answers the one question that comes over it with what it has seen.
    """

    def __init__(self, serve: Callable[..., None], *arguments: object) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=serve, args=(theirs, *arguments), daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._process.start()
        self.port = self._ours.recv()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.terminate()
        self._process.join()

    def arrived(self) -> Answer:
        """What has come so far. To be asked once, when all is over."""
        self._ours.send(None)
        answer: Answer = self._ours.recv()
        return answer
