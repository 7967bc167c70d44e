"""The destination for what the others do not get: a folder or a bucket, where writing again leaves one copy."""

from __future__ import annotations

from tailrace.config.destinations import VARIABLE, load_destinations
from tailrace.destinations.registry import SCHEMES
from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tailrace.config.settings import Settings
    from tailrace.pipeline.interfaces import Destination

_SCHEMES = {name: SCHEMES[name] for name in ("file", "s3")}


class DeadLetterChoice:
    """The destination that holds, None where none does; its `url`, which may hold secrets, and the `source` of that;
    and what is wrong with those that weigh more."""

    __slots__ = ("destination", "problems", "source", "url")

    def __init__(self) -> None:
        self.destination: Destination | None = None
        self.url = ""
        self.source = "default"
        self.problems: list[ConfigError] = []


def dead_letters_in_force(settings: Settings, environ: Mapping[str, str]) -> DeadLetterChoice:
    """Of all that layers of settings ask for, what weighs most among those that can be used. Never raises."""
    choice = DeadLetterChoice()
    wrong: list[ConfigError] = []
    for url, setting, source in reversed(settings.dead_letters):
        try:
            choice.destination = dead_letter_destination(url, setting, environ)
        except ConfigError as problem:
            wrong.append(problem)
            continue
        choice.url, choice.source = url, source
        break
    name = choice.destination.name if choice.destination is not None else ""
    instead = f"{name} is used, from {choice.source}" if name else "what cannot be delivered is lost"
    choice.problems = [ConfigError(one.setting, one.found, f"{one.remedy}; {instead}") for one in wrong]
    return choice


def dead_letter_destination(url: str, setting: str, environ: Mapping[str, str]) -> Destination:
    """The destination that `setting` asks for. Raises `ConfigError` about it."""
    found = load_destinations({VARIABLE: url}, _SCHEMES)
    if found.problems:
        raise ConfigError(setting, found.problems[0].found, found.problems[0].remedy)
    if len(found.specs) != 1:
        raise ConfigError(setting, f"it holds {len(found.specs)} URLs", "write one, with blanks as %20")
    (spec,) = found.specs
    spec.setting = setting
    if spec.scheme == "file":
        from tailrace.destinations import file

        return file.create(spec)
    from tailrace.destinations import s3

    return s3.create(spec, environ)
