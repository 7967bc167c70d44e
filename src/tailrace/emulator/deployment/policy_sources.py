"""Where policies are set: the table `[emulator.policy]` of a `tailrace.toml`, and single assignments after it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tailrace.config.file import KEYS, TOP_LEVEL, shown_key
from tailrace.config.wording import suggestion
from tailrace.emulator.machine.policy import Policy
from tailrace.errors import ConfigError

CONFIG_FILE = Path("tailrace.toml")
"""Looked for in the current directory."""

_TABLE = "emulator"
_POLICY = "policy"
_ASSIGNMENT_HINT = "write NAME=VALUE, for example init_timeout_ms=5000"


def read_policy(assignments: Iterable[str] = (), file: Path | None = None) -> Policy:
    """The policy that a file and then `assignments` (``NAME=VALUE``, the last of a name holds) make of the default.

    Without `file` it is `CONFIG_FILE`, where there is one. Raises `ConfigError`: which file and key or which
    assignment, what was found, what is allowed.
    """
    policy = Policy()
    if file is not None or CONFIG_FILE.is_file():
        place = file or CONFIG_FILE
        for name, value in _table(place).items():
            policy = policy.parse(name, value, f"{place}: [{_TABLE}.{_POLICY}]")
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not name.strip() or not equals:
            raise ConfigError("--policy", f'"{assignment}" is no assignment', _ASSIGNMENT_HINT)
        policy = policy.parse(name.strip(), text.strip(), "--policy")
    return policy


def apply_policy(values: Mapping[str, object]) -> Policy:
    """The default policy with some values by name, as a test gives them. Raises `ConfigError`."""
    policy = Policy()
    for name, value in values.items():
        policy = policy.parse(name, value)
    return policy


def _table(file: Path) -> Mapping[str, object]:
    document = _document(file)
    for key in document:
        if key not in TOP_LEVEL:
            hint = f"the emulator's is [{_TABLE}.{_POLICY}]; the agent's are {', '.join(KEYS)}"
            raise ConfigError(f"{file}: {shown_key(key)}", f"no such key or table{suggestion(key, TOP_LEVEL)}", hint)
    emulator = _object(document.get(_TABLE, {}), file, _TABLE)
    for key in emulator:
        if key != _POLICY:
            raise ConfigError(f"{file}: [{_TABLE}] {key}", "no such key", f"there is [{_TABLE}.{_POLICY}]")
    return _object(emulator.get(_POLICY, {}), file, f"{_TABLE}.{_POLICY}")


def _object(value: object, file: Path, table: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{file}: {table}", f"{value!r} is not a table", f"write [{table}], then NAME = VALUE")
    return value


def _document(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(file), f"cannot be read ({error.strerror})", "give a TOML file") from None
    except UnicodeDecodeError:
        raise ConfigError(str(file), "is not UTF-8 text", "give a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(file), f"is not TOML: {error}") from None
