"""What the parts that bring records somewhere have in common."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.clock import Clock
    from tailrace.model.resource import Resource
    from tailrace.pipeline.interfaces import Diagnostics, Random


class Surroundings:
    """Who we are, what time it is, where chance comes from, and how something is said."""

    __slots__ = ("clock", "diagnostics", "random", "resource")

    def __init__(self, resource: Resource, clock: Clock, random: Random, diagnostics: Diagnostics) -> None:
        self.resource = resource
        self.clock = clock
        self.random = random
        self.diagnostics = diagnostics
