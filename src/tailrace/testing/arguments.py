"""What a test says about a function and an event, checked. Everything wrong raises `ConfigError`, one sentence."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.faults.plan import FaultPlan
from tailrace.emulator.isolation.level import LEVELS
from tailrace.emulator.limits.resources import SHARES
from tailrace.emulator.servers.invoke_request import MAX_CLIENT_CONTEXT_CHARS, MAX_SYNC_BYTES
from tailrace.emulator.servers.tenancy import ALLOWED, is_tenant_id
from tailrace.errors import ConfigError, UsageError
from tailrace.packaging.own_extension import extension_path

StrPath = str | os.PathLike[str]

LOG_FORMATS = ("text", "json")
MAX_TIMEOUT_S = 900
MEMORY_MB = (128, 10240)
TMP_MB = (512, 10240)

_KEYWORDS = {
    "--code": "code",
    "--bootstrap": "bootstrap",
    "--python": "python",
    "--runtime": "runtime",
    "--node": "node",
    "--node-client": "node_client",
    "--extension": "extensions",
    "--layer": "layers",
    "--env": "env",
    "--isolation": "isolation",
    "--mount": "mounts",
    "--cpu": "cpu",
    "--tenant-isolation": "tenant_isolation",
}


def in_keywords(error: UsageError) -> UsageError:
    """The same error, with the names of keywords in place of the command line's options."""

    def named(text: str) -> str:
        return re.sub(r"--[a-z]+(?:-[a-z]+)*", lambda option: _KEYWORDS.get(option[0], option[0]), text)

    return UsageError(named(error.setting), named(error.found), named(error.remedy))


def handler_name(handler: object) -> str:
    if isinstance(handler, str):
        return handler
    raise ConfigError("handler", f"{handler!r} is not text", 'give its name, for example "app.handler"')


def paths(keyword: str, given: Iterable[StrPath]) -> list[Path]:
    """A list of paths, as `given`; one path alone is taken for a mistake."""
    if isinstance(given, str | os.PathLike):
        raise ConfigError(keyword, f"{str(given)!r} is one path, not a list", f"write {keyword}=[{str(given)!r}]")
    return [Path(path) for path in given]


def extension_paths(given: Iterable[StrPath]) -> list[Path]:
    """Paths of extensions. The bare word ``tailrace`` is ours: the agent as in its layer, built where needed."""
    if not isinstance(given, str | os.PathLike):
        given = list(given)
    paths("extensions", given)
    return [extension_path(path) for path in given]


def variables(env: Mapping[str, str] | None) -> dict[str, str]:
    if env is not None and not isinstance(env, Mapping):
        raise ConfigError("env", f"{env!r} is no mapping", 'write env={"NAME": "value"}')
    for name, value in (env or {}).items():
        if not isinstance(value, str):
            raise ConfigError("env", f"the value of {name} is no text but {type(value).__name__}", "give text")
    return dict(env or {})


def timeout(timeout_s: float) -> float:
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
        raise ConfigError("timeout_s", f"{timeout_s!r} is no number", f"more than 0, at most {MAX_TIMEOUT_S}")
    if not 0 < timeout_s <= MAX_TIMEOUT_S:
        raise ConfigError("timeout_s", f"{timeout_s!r} is out of range", f"more than 0, at most {MAX_TIMEOUT_S}")
    return timeout_s


def memory(memory_mb: int) -> int:
    return _megabytes("memory_mb", memory_mb, *MEMORY_MB)


def isolation(level: str) -> str:
    if level not in LEVELS:
        raise ConfigError("isolation", f"{level!r} is no level of isolation", f"one of {', '.join(LEVELS)}")
    return level


def cpu(given: str) -> str:
    if given not in SHARES:
        raise ConfigError("cpu", f"{given!r} is unknown", f"one of {', '.join(SHARES)}")
    return given


def tmp_size(tmp_mb: int) -> int:
    return _megabytes("tmp_mb", tmp_mb, *TMP_MB)


def mounts(given: Iterable[str]) -> list[str]:
    """``SRC[:DST][:ro]``, as on the command line; one alone is taken for a mistake."""
    if isinstance(given, str):
        raise ConfigError("mounts", f"{given!r} is one mount, not a list", f"write mounts=[{given!r}]")
    return list(given)


def _megabytes(keyword: str, given: object, least: int, most: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int):
        raise ConfigError(keyword, f"{given!r} is no whole number", f"{least} to {most}")
    if not least <= given <= most:
        raise ConfigError(keyword, f"{given!r} is out of range", f"{least} to {most}")
    return given


def log_format(given: str) -> str:
    if not isinstance(given, str) or given.lower() not in LOG_FORMATS:
        raise ConfigError("log_format", f"{given!r} is unknown", f"one of {', '.join(LOG_FORMATS)}")
    return given.lower()


def faults(given: Iterable[str | Fault], seed: int) -> FaultPlan:
    """A plan of faults and names of faults; one alone is taken for a mistake."""
    if isinstance(given, str | Fault):
        raise ConfigError("faults", f"{str(given)!r} is one fault, not a list", f"write faults=[{str(given)!r}]")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ConfigError("seed", f"{seed!r} is no whole number")
    return FaultPlan(tuple(fault(each) for each in given), seed)


def fault(given: str | Fault, **options: Any) -> Fault:
    """A fault by its name and what it takes, or one that is made already."""
    if isinstance(given, str):
        return Fault(given, **options)
    if options:
        raise ConfigError(next(iter(options)), "is given beside a fault that is made already", "give the fault's name")
    return given


def payload(event: object, raw: bytes | str | None) -> bytes:
    """The event's JSON. Nothing at all is the empty object, as in the Invoke API (lambda-platform.md 9.1)."""
    if raw is None:
        encoded = _encoded("event", {} if event is None else event).encode()
    elif event is None:
        encoded = raw.encode() if isinstance(raw, str) else raw
        _check_json(encoded)
    else:
        raise ConfigError("raw", "is given beside an event", "give one of them")
    if len(encoded) > MAX_SYNC_BYTES:
        raise ConfigError("event", f"has {len(encoded)} bytes", f"Lambda allows {MAX_SYNC_BYTES}")
    return encoded


def client_context(given: Mapping[str, object] | None) -> str:
    """Its JSON, or nothing. The limit holds for its base64 form (lambda-platform.md 3.8)."""
    if given is None:
        return ""
    text = _encoded("client_context", given)
    size = len(base64.b64encode(text.encode()))
    if size > MAX_CLIENT_CONTEXT_CHARS:
        raise ConfigError(
            "client_context", f"takes {size} bytes in base64", f"Lambda allows {MAX_CLIENT_CONTEXT_CHARS}"
        )
    return text


def tenant(tenant_id: str) -> str:
    if tenant_id and not is_tenant_id(tenant_id):
        raise ConfigError("tenant_id", f"{tenant_id!r} is no tenant", f"Lambda allows {ALLOWED}")
    return tenant_id


def _encoded(name: str, value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(name, f"cannot be written as JSON ({error})") from None


def _check_json(raw: bytes) -> None:
    try:
        json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ConfigError("raw", f"is not JSON ({error})", "Lambda refuses such an event") from None
