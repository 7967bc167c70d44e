"""Reading a plan of faults from a TOML file. Whatever makes no sense names the file, the key, and what is allowed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.faults.kinds import KINDS
from tailrace.emulator.faults.plan import FaultPlan
from tailrace.errors import ConfigError

_KEYS = ("seed", "fault")
_WHEN = ("moment", "invocation", "probability", "count")


def read_plan(path: Path) -> FaultPlan:
    """The plan in a file. Raises `ConfigError` whose `setting` begins with the file's name."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is not UTF-8 text", "give a TOML file") from None
    except tomllib.TOMLDecodeError as error:  # its text ends with line and column
        raise ConfigError(str(path), f"is not TOML: {error}") from None
    try:
        return parse_plan(document)
    except ConfigError as error:
        raise ConfigError(f"{path}, {error.setting}", error.found, error.remedy) from None


def parse_plan(document: Mapping[str, Any]) -> FaultPlan:
    """The plan that a TOML document describes. Raises `ConfigError`."""
    for key in document:
        if key not in _KEYS:
            raise ConfigError(key, "is unknown", "a plan has seed, and [[fault]] for each fault")
    seed = document.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ConfigError("seed", f"{seed!r} is no whole number", "for example seed = 42")
    tables = document.get("fault", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError("fault", "is no list of tables", "write [[fault]] above each fault")
    return FaultPlan(tuple(_fault(table, number) for number, table in enumerate(tables, 1)), seed)


def _fault(table: Mapping[str, Any], number: int) -> Fault:
    what = table.get("what", "")
    place = f"fault {number}" + (f" ({what})" if isinstance(what, str) and what else "")
    try:
        return _read_fault(table)
    except ConfigError as error:
        setting = {"at": "when", "probability": "when.probability", "count": "when.count"}.get(
            error.setting, error.setting
        )
        raise ConfigError(f"{place}, {setting}", error.found, error.remedy) from None


def _read_fault(table: Mapping[str, Any]) -> Fault:
    if "what" not in table:
        raise ConfigError("what", "is missing", 'for example what = "telemetry-reset"')
    for key in ("at", "probability", "count"):
        if key in table:
            inside = "moment" if key == "at" else key
            raise ConfigError("key", f'"{key}" is not one of a fault', f"it belongs into when = {{ {inside} = ... }}")
    rest = {key: value for key, value in table.items() if key != "when"}
    kind = KINDS.get(str(table["what"]))
    return Fault(**rest, **_when(table.get("when", ""), kind.moment if kind else ""))


def _when(when: object, usual_moment: str) -> dict[str, Any]:
    """``"invoke:2"``, or a table with the moment and the dice."""
    if isinstance(when, str):
        return {"at": when}
    if not isinstance(when, dict):
        raise ConfigError("when", f"{when!r} is neither text nor a table", 'write "invoke:2" or { moment = "invoke" }')
    for key in when:
        if key not in _WHEN:
            raise ConfigError(f"when.{key}", "is unknown", f"one of {', '.join(_WHEN)}")
    given = {key: when[key] for key in ("probability", "count") if key in when}
    return {"at": _moment(when, usual_moment), **given}


def _moment(when: Mapping[str, Any], usual_moment: str) -> str:
    moment, invocation = when.get("moment", usual_moment), when.get("invocation")
    if not isinstance(moment, str):
        raise ConfigError("when.moment", f"{moment!r} is no text", 'for example moment = "invoke"')
    if invocation is None:
        return moment
    if isinstance(invocation, bool) or not isinstance(invocation, int) or invocation < 0:
        raise ConfigError("when.invocation", f"{invocation!r} is no number of an invocation", "0, 1, 2 and so on")
    if not moment:
        raise ConfigError("when.moment", "is missing", "an invocation's number needs its moment")
    return f"{moment}:{invocation}"


def plan_from_tables(document: Mapping[str, Any]) -> FaultPlan:
    """The plan from `Fault.as_table` of each fault, beside the seed."""
    return FaultPlan(tuple(Fault(**table) for table in document["faults"]), int(document["seed"]))
