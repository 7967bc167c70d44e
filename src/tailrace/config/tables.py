"""What a configuration file may say of a destination and of a mask: the shapes, before anything is built of them."""

from __future__ import annotations

from tailrace.config.headers import HttpHeaders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.errors import ConfigError

LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
"""Severities, least first (OpenTelemetry's short names)."""


class RecordFilter:
    """Which records a destination takes.

    `types` are categories (None: as the agent's own setting says); `min_level` the least severity; `match`
    and `exclude` regular expressions of which one must, or none may, be found. `place` names it in messages.
    """

    __slots__ = ("exclude", "match", "min_level", "place", "types")

    def __init__(
        self,
        place: str,
        types: tuple[str, ...] | None = None,
        min_level: str | None = None,
        match: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
    ) -> None:
        self.place = place
        self.types = types
        self.min_level = min_level
        self.match = match
        self.exclude = exclude

    def to_object(self) -> dict[str, object]:
        """For people: only what is asked for."""
        asked: dict[str, object] = {
            "types": list(self.types) if self.types is not None else None,
            "min_level": self.min_level,
            "match": list(self.match),
            "exclude": list(self.exclude),
        }
        return {name: value for name, value in asked.items() if value}


class DestinationTable:
    """One destination as the file asks for it. `place` says where; `label` is its own name, if it has one.

    `trouble` says why there is no URL that could be looked at; what it misses is counted all the same.
    """

    __slots__ = ("failover_for", "filter", "headers", "label", "place", "queue_max_bytes", "trouble", "url")

    def __init__(self, place: str, url: str) -> None:
        self.place = place
        self.url = url
        self.label: str | None = None
        self.headers = HttpHeaders()
        self.filter: RecordFilter | None = None
        self.queue_max_bytes: int | None = None
        self.failover_for: str | None = None
        self.trouble: ConfigError | None = None

    def __repr__(self) -> str:
        return f"DestinationTable(from {self.place})"


class MaskSpec:
    """One rule of masking: a built-in one by name (`rule`), a `pattern`, or names of members (`keys`).

    Exactly one of the three is set. `name` is what its count stands under, `place` where it was asked for. Names
    count as the last words of longer ones, too, unless `compounds` is false.
    """

    __slots__ = ("compounds", "keys", "name", "pattern", "place", "replacement", "rule")

    def __init__(
        self,
        place: str,
        name: str,
        rule: str | None = None,
        pattern: str | None = None,
        keys: tuple[str, ...] = (),
        replacement: str = "***",
        compounds: bool = True,
    ) -> None:
        self.compounds = compounds
        self.place = place
        self.name = name
        self.rule = rule
        self.pattern = pattern
        self.keys = keys
        self.replacement = replacement

    def __repr__(self) -> str:
        return f"MaskSpec({self.name!r} from {self.place})"

    def to_object(self) -> dict[str, object]:
        """For people: what it looks for."""
        said: dict[str, object] = {"name": self.name}
        if self.rule is not None:
            said["rule"] = self.rule
        elif self.pattern is not None:
            said["pattern"] = self.pattern
        else:
            said["keys"] = list(self.keys)
        if not self.compounds:
            said["compounds"] = False
        said["replacement"] = self.replacement
        return said


class Tables:
    """Everything of a file that is no plain value, and what is wrong with the file.

    `masks_unknown` says that the file cannot be read as TOML though it speaks of masks.
    """

    __slots__ = ("destinations", "headers", "masks", "masks_unknown", "problems")

    def __init__(self) -> None:
        self.destinations: list[DestinationTable] = []
        self.headers = HttpHeaders()
        self.masks: list[MaskSpec] = []
        self.masks_unknown = False
        self.problems: list[ConfigError] = []
