"""Keeping the newest of what never ends: as much as fits, and the count of the rest."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """The newest items whose bytes, as `n_bytes` tells them, are at most `max_bytes` together; always the last one."""

    __slots__ = ("_items", "_max_bytes", "_n_bytes", "kept_bytes", "n_left_out")

    def __init__(self, max_bytes: int, n_bytes: Callable[[T], int]) -> None:
        self._items: deque[T] = deque()
        self._n_bytes = n_bytes
        self._max_bytes = max_bytes
        self.kept_bytes = 0
        self.n_left_out = 0

    def append(self, item: T) -> None:
        items = self._items
        items.append(item)
        self.kept_bytes += self._n_bytes(item)
        while self.kept_bytes > self._max_bytes and len(items) > 1:
            self.kept_bytes -= self._n_bytes(items.popleft())
            self.n_left_out += 1

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def copy(self) -> list[T]:
        """In one step for other threads."""
        return list(self._items)


def memory_of(value: object) -> int:
    """About how many bytes a text, or a document of texts and numbers, takes in memory."""
    if value.__class__ is str:
        return sys.getsizeof(value)
    if isinstance(value, dict):
        return sys.getsizeof(value) + sum(map(memory_of, value.values()))
    if isinstance(value, list | tuple):
        return sys.getsizeof(value) + sum(map(memory_of, value))
    return sys.getsizeof(value)
