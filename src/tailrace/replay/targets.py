"""Where envelopes are sent: what the environment of whoever replays says, never what a file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tailrace.config.destinations import BUCKET_VARIABLE, VARIABLE
from tailrace.config.places import CONFIG_FILE, DEFAULT_PLACES, config_path, read_config
from tailrace.config.settings import Settings, load_settings
from tailrace.config.urls import MASK
from tailrace.destinations.registry import build_destinations
from tailrace.errors import UsageError
from tailrace.pipeline.dead_letters.envelope import count_alike, name_without_number
from tailrace.pipeline.wire.transport import CompositeTransport
from tailrace.replay.envelope import Envelope
from tailrace.replay.identity import secrets_of
from tailrace.replay.places import read_spec

if TYPE_CHECKING:
    from tailrace.clock import Clock
    from tailrace.pipeline.interfaces import Destination, Transport

TO = "--to"
PLACES = (*DEFAULT_PLACES, "tailrace.toml")
"""Where a configuration file is looked for when no variable names one."""


@dataclass(frozen=True)
class Target:
    """A destination and the way there. `name` is its URL without secrets, `secrets` what the name leaves out."""

    name: str
    destination: Destination
    transport: Transport
    secrets: str = field(default="", repr=False)

    @property
    def is_standard_output(self) -> bool:
        return self.name.startswith("stdout:")


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The agent's settings as the environment of whoever replays has them, and a file where `config check` finds it."""
    return load_settings(environ, read_config(environ, PLACES))


def _may_matter(setting: str, environ: Mapping[str, str]) -> bool:
    """Whether a wrong setting may keep a request from being what the agent's would be."""
    path = config_path(environ, PLACES)
    return setting.startswith("TAILRACE_HTTP_HEADERS") or bool(path and setting.startswith(path))


class Targets:
    """With `to`, one destination for all; else those of `TAILRACE_DESTINATIONS`, the configuration file, or
    `S3_BUCKET_NAME`, by name.

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
        settings = read_settings(own)
        built = build_destinations(own, settings)
        for problem in [*built.problems, *settings.problems]:
            setting = TO if to is not None and problem.setting.startswith(VARIABLE) else problem.setting
            if problem in built.problems or _may_matter(setting, own):
                raise UsageError(setting, problem.found, problem.remedy)
        if not built.destinations:
            remedy = f"set {VARIABLE} as the agent has it, or name one destination with {TO}"
            raise UsageError(VARIABLE, "it is not set, so there is nowhere to send to", remedy)
        self._by_name = {
            one.name: Target(one.name, one, CompositeTransport(clock, own), secrets_of(spec))
            for one, spec in zip(built.destinations, built.specs, strict=True)
        }
        if to is not None:
            (self._only,) = self._by_name.values()

    @staticmethod
    def are_named(environ: Mapping[str, str]) -> bool:
        """Whether the environment names any, or a file does."""
        is_named = any(environ.get(name, "").strip() for name in (VARIABLE, BUCKET_VARIABLE, CONFIG_FILE))
        return is_named or bool(read_settings(environ).destination_tables)

    @property
    def write_standard_output(self) -> bool:
        """Whether records go there."""
        return any(target.is_standard_output for target in self._by_name.values())

    def of(self, destination: str) -> Target | None:
        """Where what was meant for `destination` goes; None where nothing of that name is set up."""
        return self._only or self._by_name.get(destination)

    def cannot_tell(self, envelope: Envelope) -> bool:
        """Whether the envelope may be meant for one of several destinations, of which its words fit each."""
        if self._only is not None or MASK not in envelope.destination:
            return False
        is_numbered = name_without_number(envelope.destination) != envelope.destination
        return is_numbered or envelope.n_alike > 1 or count_alike(envelope.destination, self._by_name) > 1

    def close(self) -> None:
        for target in self._by_name.values():
            target.transport.close()
