"""What the driver adds to the variables of processes: what only it knows, because of where things lie here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.machine.facts import RUNTIME

_CONFIG_FILE = "tailrace.toml"
_OWN_SPOOL = "/tmp/tailrace"  # noqa: S108 - in an environment's own /tmp, where the agent has it on Lambda


def process_environment(process: str, environ: Mapping[str, str], config: FunctionConfig) -> dict[str, str]:
    """The whole environment of a process, from the platform's (`environ`)."""
    if process != RUNTIME:
        return dict(environ)
    return {**environ, **{name: config.as_seen(value) for name, value in config.runtime_environment.items()}}


def extension_variables(config: FunctionConfig, spool_dir: Path) -> dict[str, str]:
    """Beside the platform's, unless the customer set them: an extension listens on loopback only here, and our own
    keeps its files apart from other environments'."""
    spool = _OWN_SPOOL if config.isolation.has_namespaces else str(spool_dir)
    variables = {"TAILRACE_LISTEN_HOST": "127.0.0.1", "TAILRACE_SPOOL_DIR": spool}
    config_file = _config_file(config)
    if config_file is not None:
        variables["TAILRACE_CONFIG_FILE"] = config.as_seen(str(config_file))
    return variables


def _config_file(config: FunctionConfig) -> Path | None:
    """The agent's file: beside the code, or in a layer (on Lambda `/var/task`, then `/opt`)."""
    places = [config.code_dir, *([config.opt_dir] if config.opt_dir else [])]
    return next((place / _CONFIG_FILE for place in places if (place / _CONFIG_FILE).is_file()), None)
