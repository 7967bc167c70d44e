"""Our own extension among those of a local function: where its file lies, and what it would refuse."""

from __future__ import annotations

import os
from pathlib import Path

from tailrace.emulator.function import FunctionConfig
from tailrace.errors import UsageError

OUR_EXTENSION = "tailrace"
"""The base name under which the agent registers, and the bare word that stands for it among extensions."""


def extension_path(given: str | os.PathLike[str]) -> Path:
    """The file of an extension: a path stands for itself, the bare word for the plain layer's launcher."""
    if given != OUR_EXTENSION:
        return Path(given)
    from tailrace.packaging.cache import plain_layer

    return plain_layer() / "extensions" / OUR_EXTENSION


def has_agent(config: FunctionConfig) -> bool:
    """Whether our extension is among the function's, from a layer or by itself."""
    return any(extension.name == OUR_EXTENSION for extension in config.extensions)


def check_agent_settings(config: FunctionConfig) -> None:
    """Tell a wrong setting of the agent before anything starts. On Lambda the agent says it once and goes on.

    Raises `UsageError` for the first one, which names the others, too.
    """
    if not has_agent(config):
        return
    from tailrace.config.places import CONFIG_FILE, read_config
    from tailrace.config.settings import load_settings
    from tailrace.destinations.dead_letter import dead_letters_in_force
    from tailrace.destinations.registry import build_destinations

    beside = (f"{folder}/tailrace.toml" for folder in (config.code_dir, config.opt_dir) if folder is not None)
    environ = {**config.environment, **config.credentials, "AWS_REGION": config.region}
    named = environ.get(CONFIG_FILE)  # a path in a sandbox of its own cannot be looked at from here
    settings = load_settings(environ, None if named and not Path(named).is_file() else read_config(environ, [*beside]))
    built = build_destinations(environ, settings)
    problems = [*settings.problems, *built.problems, *built.faults]
    problems += dead_letters_in_force(settings, environ).problems
    if problems:
        first, *others = problems
        remedy = "\n".join([*filter(None, [first.remedy]), *(f"also {other}" for other in others)])
        raise UsageError(first.setting, first.found, remedy)
