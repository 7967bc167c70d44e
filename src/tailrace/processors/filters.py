"""Which records a destination gets, where it does not get all of them."""

from __future__ import annotations

from tailrace.config.tables import LEVELS
from tailrace.processors.severity import RANKS, severity_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from tailrace.config.tables import RecordFilter
    from tailrace.errors import ConfigError
    from tailrace.model.record import Record
    from tailrace.processors.pattern_budget import Budget
    from tailrace.processors.patterns import SafePattern


class DestinationFilter:
    """Called with a record, says whether the destination takes it; `reason` says why not.

    A record of no severity passes `min_level`: nothing is left out that only may be unimportant. So do the platform's
    own events, which have no level; `types` is the word for these.
    """

    __slots__ = ("_budget", "_exclude", "_least", "_match", "_types")

    def __init__(
        self,
        types: Collection[str] | None = None,
        min_level: str | None = None,
        match: tuple[SafePattern, ...] = (),
        exclude: tuple[SafePattern, ...] = (),
        budget: Budget | None = None,
    ) -> None:
        self._budget = budget
        self._types = types
        self._least = LEVELS.index(min_level) if min_level is not None else 0
        self._match = match
        self._exclude = exclude

    def begin_body(self) -> None:
        """The records of another telemetry post come."""
        if self._budget is not None:
            self._budget.begin_body()

    def __call__(self, record: Record) -> bool:
        try:
            return self.reason(record) is None
        except Exception:  # noqa: BLE001 - a record that cannot be judged is not left out
            return True

    def reason(self, record: Record) -> str | None:
        """Why this record is left out, or None."""
        category = record.type.partition(".")[0]
        if self._types is not None and category not in self._types and category in _CATEGORIES:
            return "types"
        if self._least and category != "platform":
            level = severity_of(record.event)
            if level is not None and RANKS[level] < self._least:
                return "min_level"
        budget = self._budget
        if budget is not None:
            text = _text_of(record)
            if self._match and not any(pattern.is_in(text, budget) for pattern in self._match):
                return "match"
            if any(pattern.is_in(text, budget) for pattern in self._exclude):
                return "exclude"
        return None


_CATEGORIES = ("platform", "function", "extension")


def build_filter(
    wanted: RecordFilter | None, default_types: Collection[str] | None, problems: list[ConfigError]
) -> DestinationFilter | None:
    """The filter of one destination, None where it takes everything. `default_types` hold where it names none itself.

    A pattern that cannot be used joins `problems` and is left out.
    """
    if wanted is None:
        return DestinationFilter(default_types) if default_types is not None else None
    match: tuple[SafePattern, ...] = ()
    exclude: tuple[SafePattern, ...] = ()
    budget = None
    if wanted.match or wanted.exclude:
        from tailrace.processors.pattern_budget import Budget
        from tailrace.processors.patterns import compile_all

        budget = Budget()
        match = compile_all(wanted.match, f"{wanted.place}, match", problems)
        exclude = compile_all(wanted.exclude, f"{wanted.place}, exclude", problems)
    types = wanted.types if wanted.types is not None else default_types
    return DestinationFilter(types, wanted.min_level, match, exclude, budget)


def limits_of(wanted: RecordFilter) -> list[tuple[str, int]]:
    """Patterns that see long lines in pieces: where each stands, and how long (in characters) what it finds may be to
    be found wherever it lies."""
    from tailrace.processors.patterns import compile_all

    found = []
    for word, patterns in (("match", wanted.match), ("exclude", wanted.exclude)):
        place = f"{wanted.place}, {word}"
        found += [(place, safe.limit) for safe in compile_all(patterns, place, []) if safe.limit is not None]
    return found


def _text_of(record: Record) -> str:
    """What somebody would see of the record: its text, or else its JSON."""
    line = record.event.get("record") if isinstance(record.event, dict) else None
    return line if isinstance(line, str) else record.raw or ""
