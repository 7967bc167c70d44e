"""Plain values that are made by the dozen in every invocation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def plain_value(cls: type[T]) -> type[T]:
    """A dataclass with slots that compares and hashes by its members, which nobody changes.

    Type checkers see to that. A frozen dataclass sees to it at run time as well, and so takes three times as long
    to make: each member goes through `object.__setattr__`.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
