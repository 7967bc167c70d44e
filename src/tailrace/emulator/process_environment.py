"""What process isolation adds to the variables of a process: the places that stand for the sandbox's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.machine.facts import RUNTIME

_SEARCH_PATHS = ("PATH", "LD_LIBRARY_PATH")
_CONFIG_FILE = "tailrace.toml"


def process_environment(
    process: str, environ: Mapping[str, str], config: FunctionConfig, spool_dir: Path
) -> dict[str, str]:
    """The whole environment of a process, from the platform's (`environ`), with paths that exist here.

    What the customer set is left as it is.
    """
    result = dict(environ)
    for name in _SEARCH_PATHS:
        if name in result and name not in config.environment:
            result[name] = ":".join(_here(part, config) for part in result[name].split(":"))
    if process == RUNTIME:
        result |= config.runtime_environment
        result["LAMBDA_TASK_ROOT"] = str(config.code_dir)
    else:
        _add_for_extension(result, config, spool_dir)
    return result


def _here(path: str, config: FunctionConfig) -> str:
    """A path of the sandbox as it is called on this machine."""
    for root, place in (("/opt", config.opt_dir), ("/var/task", config.code_dir)):
        if place is not None and (path == root or path.startswith(f"{root}/")):
            return f"{place}{path[len(root) :]}"
    return path


def _add_for_extension(result: dict[str, str], config: FunctionConfig, spool_dir: Path) -> None:
    """An extension listens on loopback only here, and our own keeps its files apart from other environments'."""
    result.setdefault("TAILRACE_LISTEN_HOST", "127.0.0.1")
    result.setdefault("TAILRACE_SPOOL_DIR", str(spool_dir))
    config_file = _config_file(config)
    if config_file is not None:
        result.setdefault("TAILRACE_CONFIG_FILE", str(config_file))


def _config_file(config: FunctionConfig) -> Path | None:
    """The agent's file: beside the code, or in a layer (on Lambda `/var/task`, then `/opt`)."""
    places = [config.code_dir, *([config.opt_dir] if config.opt_dir else [])]
    return next((place / _CONFIG_FILE for place in places if (place / _CONFIG_FILE).is_file()), None)
