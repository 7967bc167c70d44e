"""Our own extension among those of a local function: where its file lies, and what it would refuse."""

from __future__ import annotations

import os
from pathlib import Path

from tailrace.emulator.function import FunctionConfig
from tailrace.errors import ConfigError, UsageError

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

    Raises `UsageError` for the first one.
    """
    if not has_agent(config):
        return
    from tailrace.config.settings import load_settings
    from tailrace.destinations.dead_letter import dead_letter_destination
    from tailrace.destinations.registry import build_destinations

    environ = {**config.environment, **config.credentials, "AWS_REGION": config.region}
    settings = load_settings(environ)
    for problem in [*settings.problems, *build_destinations(environ, settings).problems]:
        raise UsageError(problem.setting, problem.found, problem.remedy)
    if settings.dead_letter:
        try:
            dead_letter_destination(settings.dead_letter, settings.dead_letter_setting, environ)
        except ConfigError as problem:
            raise UsageError(problem.setting, problem.found, problem.remedy) from None
