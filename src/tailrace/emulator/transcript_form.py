"""Facts, effects and settings as JSON objects, and facts and settings back from these.

Times of the machine's clock are relative to the run's begin. Bytes are text where they are UTF-8, else an object
with the one member `base64`.
"""

from __future__ import annotations

import base64
import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.machine import facts
from tailrace.emulator.masking import Masker

_POINTS_IN_TIME = frozenset({"began_ns", "at_ns"})
_VARIABLES = frozenset({"environ", "environment", "credentials", "runtime_environment"})
_ALL_SECRET = frozenset({"credentials"})

FACTS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in typing.get_args(facts.Fact)}


class Form:
    """Writes values down. `start_ns` is when the run began."""

    def __init__(self, masker: Masker, start_ns: int) -> None:
        self._masker = masker
        self._start_ns = start_ns

    def fields(self, value: Any) -> dict[str, Any]:
        """The fields of a fact, an effect, or a function's configuration."""
        return {field.name: self._field(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)}

    def _field(self, name: str, value: object) -> Any:
        if name in _POINTS_IN_TIME and isinstance(value, int):
            return value - self._start_ns
        if name in _VARIABLES and isinstance(value, Mapping):
            return {key: self._variable(name, key, text) for key, text in value.items()}
        return self.json(value)

    def _variable(self, field: str, name: str, value: str) -> str:
        return "*" * len(value.encode()) if field in _ALL_SECRET else self._masker.value(name, value)

    def json(self, value: object) -> Any:
        """Any value as JSON has it."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self._masker.text(value)
        if isinstance(value, bytes):
            return self._bytes(value)
        if isinstance(value, Fault):
            return value.as_table()
        if isinstance(value, Path):
            return self._masker.text(str(value))
        if isinstance(value, Mapping):
            return {self.json(key): self.json(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.json(item) for item in value]
        if dataclasses.is_dataclass(value):
            return self.fields(value)
        return self._masker.text(repr(value))

    def _bytes(self, value: bytes) -> Any:
        try:
            return self._masker.text(value.decode())
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}


def read_value(kind: Any, value: Any, start_ns: int) -> Any:
    """A value of the type `kind` from its JSON. Raises `ValueError` or `TypeError` for what is none."""
    if kind is bytes:
        return base64.b64decode(value["base64"]) if isinstance(value, dict) else str(value).encode()
    if kind is Path:
        return Path(value)
    if kind is Fault:
        return Fault(**value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return read_fields(kind, value, start_ns)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return read_value(next(each for each in arguments if each is not type(None)), value, start_ns)
    if origin is tuple:
        return tuple(read_value(arguments[0], item, start_ns) for item in value)
    return value


def read_fields(kind: type[Any], table: Mapping[str, Any], start_ns: int) -> Any:
    """A dataclass from its fields; those that are missing have their defaults."""
    hints = typing.get_type_hints(kind)
    given: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name in table:
            value = table[field.name]
            is_time = field.name in _POINTS_IN_TIME and isinstance(value, int)
            given[field.name] = value + start_ns if is_time else read_value(hints[field.name], value, start_ns)
    return kind(**given)
