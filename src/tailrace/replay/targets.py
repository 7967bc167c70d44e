"""Where envelopes are sent: what the environment of whoever replays says, never what a file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tailrace.config.destinations import VARIABLE
from tailrace.config.settings import load_settings
from tailrace.destinations.registry import build_destinations
from tailrace.errors import UsageError
from tailrace.pipeline.transport import CompositeTransport
from tailrace.replay.places import read_spec

if TYPE_CHECKING:
    from tailrace.clock import Clock
    from tailrace.pipeline.interfaces import Destination, Transport

TO = "--to"


@dataclass(frozen=True)
class Target:
    """A destination and the way there. `name` is its URL without secrets."""

    name: str
    destination: Destination
    transport: Transport


class Targets:
    """With `to`, one destination for all; else those of `TAILRACE_DESTINATIONS` and `S3_BUCKET_NAME`, by name.

    An envelope's own words about its destination are only compared, never followed: whoever can write a file into
    the dead letters must not get the headers of who replays them. Raises `UsageError` for settings that cannot be
    used.
    """

    def __init__(self, environ: Mapping[str, str], clock: Clock, to: str | None = None) -> None:
        self._only: Target | None = None
        own = dict(environ)
        if to is not None:
            read_spec(to, TO)
            own[VARIABLE] = to.strip()
        settings = load_settings(own)
        problems = [problem for problem in settings.problems if problem.setting.startswith("TAILRACE_HTTP_HEADERS")]
        built = build_destinations(own, settings)
        for problem in [*built.problems, *problems]:
            setting = TO if to is not None and problem.setting.startswith(VARIABLE) else problem.setting
            raise UsageError(setting, problem.found, problem.remedy)
        self._by_name = {one.name: Target(one.name, one, CompositeTransport(clock, own)) for one in built.destinations}
        if to is not None:
            (self._only,) = self._by_name.values()

    def of(self, destination: str) -> Target | None:
        """Where what was meant for `destination` goes; None where nothing of that name is set up."""
        return self._only or self._by_name.get(destination)

    def close(self) -> None:
        for target in self._by_name.values():
            target.transport.close()
