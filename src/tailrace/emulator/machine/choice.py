"""One choice among the platform's behaviours: its default, what it means, where that comes from, what is allowed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy's field knows of itself. `allowed` are its only values; `least` and `most` bound a number."""

    meaning: str
    source: str
    allowed: tuple[str, ...] = ()
    least: float = 0
    most: float = math.inf

    def explain(self, kind: type) -> str:
        """What may be given, in words."""
        if self.allowed:
            return f"one of {', '.join(self.allowed)}"
        if kind is bool:
            return "true or false"
        if kind is str:
            return "a text"
        bounds = f"of at least {self.least:g}" if self.most == math.inf else f"from {self.least:g} to {self.most:g}"
        if kind is tuple:
            return f"whole numbers {bounds}, in order"
        return f"a {'whole number' if kind is int else 'number'} {bounds}"

    def read(self, given: object, kind: type) -> object | None:
        """The value that `given` stands for, a text of the command line or a value of a file; None where it is none."""
        if kind is tuple:
            return self._numbers(given)
        if kind is bool:
            return self._switch(given)
        if kind is str:
            known = isinstance(given, str) and (not self.allowed or given in self.allowed)
            return given if known else None
        return self._number(given, kind)

    def _switch(self, given: object) -> bool | None:
        if isinstance(given, bool):
            return given
        return {"true": True, "false": False}.get(given.strip().lower()) if isinstance(given, str) else None

    def _number(self, given: object, kind: type) -> float | None:
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            return None
        if kind is int and isinstance(given, float):
            return None
        try:
            value: float = int(given) if kind is int else float(given)
        except ValueError:
            return None
        return value if self.least <= value <= self.most and math.isfinite(value) else None

    def _numbers(self, given: object) -> tuple[float, ...] | None:
        items: Sequence[object]
        if isinstance(given, str):
            items = [part for part in given.replace(",", " ").split() if part]
        elif isinstance(given, list | tuple):
            items = given
        else:
            return None
        numbers = [self._number(item, int) for item in items]
        return tuple(number for number in numbers if number is not None) if None not in numbers else None


def choice(
    default: Any,
    meaning: str,
    source: str,
    *,
    allowed: tuple[str, ...] = (),
    least: float = 0,
    most: float = math.inf,
) -> Any:
    """A field of the policy; it has the type of its default, as `dataclasses.field` says."""
    return dataclasses.field(default=default, metadata={"choice": Choice(meaning, source, allowed, least, most)})
