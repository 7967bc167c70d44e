"""One fault: what goes wrong, when, and how often. Whatever makes no sense is refused with one sentence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tailrace.emulator.faults import kinds
from tailrace.errors import ConfigError

EVERY_TIME = "all"
NOW = "now"
RUNTIME = "runtime"

_AT = re.compile(r"([a-z]+)(?::(0|[1-9][0-9]*))?", re.ASCII)


@dataclass(frozen=True, slots=True, init=False)
class Fault:
    """Something that goes wrong: ``Fault("kill", process="counter", at="invoke:2")``.

    `what` is a name of `tailrace.emulator.faults.kinds.KINDS`. `process` is ``runtime`` or an extension's name; for
    telemetry the subscriber, or every one. `at` is a moment, alone or with the number of an invocation: ``ready``,
    ``invoke:2``; the number is that of the invocation under way or last done, 0 before the first. Without `at` it is
    the kind's own moment, or where it has none, at once (``now``). Of the moments that fit, each counts with
    `probability`, and at most `count` of them do (``all``: every one). The rest are the kind's parameters.

    Raises `ConfigError`: which key, what was found, what is allowed.
    """

    what: str
    process: str
    moment: str
    invocation: int | None
    probability: float
    count: int | None
    parameters: Mapping[str, bool | int | str]

    def __init__(
        self,
        what: str,
        *,
        process: str = "",
        at: str = "",
        probability: float = 1.0,
        count: int | str = 1,
        **parameters: bool | int | str,
    ) -> None:
        kind = kinds.KINDS.get(what) if isinstance(what, str) else None
        if kind is None:
            raise ConfigError("what", f"{_shown(what)} is unknown{_meant(what, kinds.KINDS)}", _one_of(kinds.KINDS))
        moment, invocation = _read_at(at, what, kind)
        values = {
            "what": what,
            "process": _read_process(process, what, kind),
            "moment": moment,
            "invocation": invocation,
            "probability": _read_probability(probability),
            "count": _read_count(count),
            "parameters": MappingProxyType(_read_parameters(parameters, what, kind)),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return hash((self.what, self.process, self.at))

    @property
    def kind(self) -> kinds.Kind:
        return kinds.KINDS[self.what]

    @property
    def at(self) -> str:
        """The moment as it is written."""
        moment = self.moment or NOW
        return moment if self.invocation is None else f"{moment}:{self.invocation}"

    def number(self, name: str) -> int:
        """A parameter that is a number."""
        return int(self.parameters[name])

    def as_table(self) -> dict[str, bool | int | float | str]:
        """What `Fault(**table)` makes this one of."""
        count = EVERY_TIME if self.count is None else self.count
        table: dict[str, bool | int | float | str] = {"what": self.what, "process": self.process, "at": self.at}
        return {**table, "probability": self.probability, "count": count, **self.parameters}

    def __str__(self) -> str:
        return " ".join(filter(None, [self.what, self.process, f"at {self.at}" if self.moment else ""]))


def _read_at(at: object, what: str, kind: kinds.Kind) -> tuple[str, int | None]:
    if at == "" or (at == NOW and len(kind.moments) > 1):
        return ("" if at == NOW else kind.moment), None
    found = _AT.fullmatch(at) if isinstance(at, str) else None
    if found is None:
        raise ConfigError("at", f"{_shown(at)} is no moment", 'write "ready", or "invoke:2" for the second invocation')
    moment, number = found.groups()
    check_moment(moment, what, kind)
    return moment, None if number is None else int(number)


def check_moment(moment: object, what: str, kind: kinds.Kind) -> None:
    """Raises `ConfigError` unless `what` can happen at this moment."""
    if moment not in kinds.MOMENTS:
        raise ConfigError("at", f"{_shown(moment)} is no moment{_meant(moment, kind.moments)}", _one_of(kind.moments))
    if moment not in kind.moments:
        raise ConfigError("at", f'{what} cannot happen at "{moment}"', _one_of(kind.moments))


def _read_process(process: object, what: str, kind: kinds.Kind) -> str:
    if not isinstance(process, str):
        raise ConfigError("process", f"{_shown(process)} is no name", 'give "runtime", or the name of an extension')
    if kind.needs_process and not process:
        raise ConfigError("process", f"{what} does not say which", 'give "runtime", or the name of an extension')
    return process


def _read_probability(probability: object) -> float:
    is_number = isinstance(probability, int | float) and not isinstance(probability, bool)
    if not is_number or not 0 < probability <= 1:  # type: ignore[operator]  # a number by now
        raise ConfigError("probability", f"{_shown(probability)} is out of range", "more than 0, at most 1")
    return float(probability)  # type: ignore[arg-type]  # a number by now


def _read_count(count: object) -> int | None:
    if count == EVERY_TIME:
        return None
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ConfigError("count", f"{_shown(count)} is no count", f'a whole number of at least 1, or "{EVERY_TIME}"')
    return count


def _read_parameters(given: Mapping[str, object], what: str, kind: kinds.Kind) -> dict[str, bool | int | str]:
    values = {name: parameter.default for name, parameter in kind.parameters.items()}
    for name, value in given.items():
        parameter = kind.parameters.get(name)
        if parameter is None:
            allowed = _one_of(kind.parameters) if kind.parameters else f"{what} takes no parameters"
            raise ConfigError(name, f"is no parameter of {what}{_meant(name, kind.parameters)}", allowed)
        if not parameter.fits(value):
            raise ConfigError(name, f"{_shown(value)} is not possible", parameter.wanted)
        values[name] = value  # type: ignore[assignment]  # it has the default's type
    return values


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _one_of(names: Iterable[str]) -> str:
    return f"one of {', '.join(names)}"


def _meant(found: object, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(found, list(known), n=1) if isinstance(found, str) else []
    return f" (did you mean {close[0]}?)" if close else ""
