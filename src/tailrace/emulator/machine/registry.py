"""The extensions of one init generation: who is known, who registered, in which state each is."""

from __future__ import annotations

from dataclasses import dataclass, field

from tailrace.emulator.machine.states import (
    EXIT_ERROR,
    EXTENSION_MOVES,
    INIT_ERROR,
    LAUNCH_ERROR,
    READY,
    REGISTERED,
    STARTED,
)
from tailrace.protocol.extensions_api import INVOKE, SHUTDOWN


@dataclass(slots=True)
class Extension:
    """An external extension, known by its file, or an internal one, known since it registered.

    `pending` is the exchange of its blocked `next`. `error_type` is what `platform.extension` shows of its failure.
    """

    name: str
    is_external: bool
    state: str = STARTED
    identifier: str = ""
    events: tuple[str, ...] = ()
    pending: int | None = None
    error_type: str = ""

    @property
    def is_registered(self) -> bool:
        return bool(self.identifier)

    @property
    def wants_invoke(self) -> bool:
        return INVOKE in self.events

    @property
    def wants_shutdown(self) -> bool:
        return SHUTDOWN in self.events

    def can(self, call: str) -> bool:
        return (self.state, call) in EXTENSION_MOVES

    def move(self, call: str) -> None:
        self.state = EXTENSION_MOVES[(self.state, call)]

    def take_pending(self) -> int | None:
        pending, self.pending = self.pending, None
        return pending


@dataclass(slots=True)
class Registry:
    """External extensions first, in the order of their files, then internal ones in the order they registered."""

    extensions: dict[str, Extension] = field(default_factory=dict)
    is_open: bool = False

    def by_name(self, name: str) -> Extension | None:
        return self.extensions.get(name)

    def by_identifier(self, identifier: str) -> Extension | None:
        for extension in self.extensions.values():
            if extension.identifier == identifier:
                return extension
        return None

    def add(self, extension: Extension) -> None:
        self.extensions[extension.name] = extension

    def all(self) -> tuple[Extension, ...]:
        return tuple(self.extensions.values())

    def externals(self) -> tuple[Extension, ...]:
        return tuple(extension for extension in self.all() if extension.is_external)

    def registered(self) -> tuple[Extension, ...]:
        return tuple(extension for extension in self.all() if extension.is_registered)

    @property
    def all_externals_registered(self) -> bool:
        return all(extension.state not in (STARTED, LAUNCH_ERROR) for extension in self.externals())

    @property
    def all_ready(self) -> bool:
        """Every registered extension has called `next` (lambda-platform.md 4.1 step 8)."""
        waiting = (STARTED, LAUNCH_ERROR, REGISTERED, INIT_ERROR, EXIT_ERROR)
        return all(extension.state not in waiting for extension in self.all())

    def ready_for_invoke(self) -> tuple[Extension, ...]:
        return tuple(extension for extension in self.all() if extension.wants_invoke and extension.state == READY)
