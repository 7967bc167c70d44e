"""Masking: what must not leave is replaced before a record is queued, written to disk or sent. Only what is found is
touched; everything else stays byte for byte, and JSON stays JSON.
"""

from __future__ import annotations

from tailrace.processors.mask_json import JsonScan, decoded
from tailrace.processors.mask_rules import build_rules, mask_values
from tailrace.processors.pattern_budget import Budget
from tailrace.protocol.events import split_events
from tailrace.protocol.jsontext import dumps, loads, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.config.tables import MaskSpec
    from tailrace.errors import ConfigError
    from tailrace.model.record import Record
    from tailrace.pipeline.interfaces import Diagnostics
    from tailrace.processors.mask_rules import KeyRule, PatternRule

WITHHELD = "withheld"
OUT_OF_TIME = "out of time"
# JSON in a text in JSON in a text: deeper than this it is text.
_MAX_LEVELS = 3
_MAX_NAMES = 2000


class Masker:
    """Masks records in place and counts by rule.

    With `withholds` there are rules that nobody could read: then nothing of what a function or an extension wrote is
    passed on, for what should have been masked must not leave because of a slip in a file. What patterns had no time
    for is masked, too, and counted apart.
    """

    __slots__ = (
        "_budget",
        "_clean_names",
        "_hints",
        "_keys",
        "_patterns",
        "_patterns_here",
        "_rule_by_name",
        "_whole_names",
        "counts",
        "withholds",
    )

    def __init__(
        self,
        keys: Sequence[KeyRule],
        patterns: Sequence[PatternRule],
        withholds: bool = False,
        budget: Budget | None = None,
    ) -> None:
        self._budget = budget or Budget()
        self._keys = keys
        self._hints = tuple({hint for rule in keys for hint in rule.names.hints})
        self._patterns = patterns
        # those that may find something in the record at hand
        self._patterns_here = patterns
        self._rule_by_name: dict[tuple[str, bool], KeyRule | None] = {}
        self._whole_names = False
        self._clean_names: set[str] = set()
        self.withholds = withholds
        self.counts: dict[str, int] = {}

    def begin_body(self) -> None:
        """The records of another telemetry post come."""
        self._budget.begin_body()

    def mask(self, record: Record) -> None:
        """Afterwards neither `record.raw` nor `record.event` holds what the rules find."""
        raw = record.raw if record.raw is not None else dumps(record.event)
        # The platform's own words: `requestId` is no `id` that anybody wants masked.
        self._whole_names = record.type.startswith("platform.")
        if self.withholds and not self._whole_names:
            masked = self._withheld(record)
        else:
            self._patterns_here = self._that_may_find(raw)
            if not self._patterns_here and not self._may_name(raw) and not _is_escaped(raw):
                return
            masked = self._json(raw, 0, isinstance(record.event, dict))
            self._patterns_here = self._patterns
        if masked != raw:
            events = split_events(f"[{masked}]".encode("utf-8", "replace")).events
            record.raw = masked
            record.event = events[0].value if events else None
            record.line = None

    def tell(self, diagnostics: Diagnostics) -> None:
        """One line with the counts, and one with how many texts were too long for a pattern to be searched as a whole,
        where there are any."""
        if self.counts:
            diagnostics("info", "masked before delivery", rules=dict(self.counts))
        too_long = {rule.name: rule.over_limit for rule in self._patterns if rule.over_limit}
        if too_long:
            diagnostics("warn", "texts too long for a mask to find every long match in them", rules=too_long)

    def text(self, text: str, level: int = 0) -> str:
        """A text masked, as JSON where it is an object or a list."""
        if level < _MAX_LEVELS and text.lstrip()[:1] in ("{", "["):
            try:
                loads(text)
            except (ValueError, RecursionError):
                pass
            else:
                return self._json(text, level + 1, False)
        # colours may stand within a name
        if self._hints and (self._may_name(text) or "\x1b" in text or "\x9b" in text):
            text, names = mask_values(text, self._keys)
            for name in names:
                self._count(name, 1)
        lowered = text.lower() if self._patterns_here else ""
        for rule in self._patterns_here:
            if not rule.may_find(lowered):
                continue
            text, found, is_given_up = rule.apply(text, self._budget)
            if found:
                self._count(rule.name, found)
            if is_given_up:
                self._count(f"{rule.name} ({OUT_OF_TIME})", 1)
        return text

    def _that_may_find(self, raw: str) -> Sequence[PatternRule]:
        """The patterns that may find something in a string of JSON text: the others have nothing in it as it is
        written, so they have nothing in its strings."""
        if _is_escaped(raw):
            return self._patterns
        lowered = raw.lower()
        return [rule for rule in self._patterns if rule.may_find(lowered)]

    def _may_name(self, text: str) -> bool:
        """False where no name of any rule is: most texts have none, and they are many."""
        lowered = text.lower()
        for hint in self._hints:  # noqa: SIM110  # `any` over a generator takes twice as long
            if hint in lowered:
                return True
        return False

    def _count(self, name: str, found: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + found

    def _withheld(self, record: Record) -> str:
        self._count(WITHHELD, 1)
        return f'{{"time":{quote(record.time)},"type":{quote(record.type)},"record":"{WITHHELD}"}}'

    def _json(self, text: str, level: int, is_event: bool) -> str:
        """JSON text with its strings and numbers masked, and the values that belong to names."""
        scan = JsonScan(text, self._rule_of, lambda token: self._value(token, level), self._name, is_event)
        masked = scan.run()
        for name in scan.found:
            self._count(name, 1)
        return masked

    def _rule_of(self, name: str) -> KeyRule | None:
        """The first rule that means members called `name`."""
        if not self._keys:
            return None
        known = (name, self._whole_names)
        if known not in self._rule_by_name:
            if len(self._rule_by_name) >= _MAX_NAMES:
                self._rule_by_name.clear()
            rules = (rule for rule in self._keys if rule.names.mean(name, self._whole_names))
            self._rule_by_name[known] = next(rules, None)
        return self._rule_by_name[known]

    def _name(self, token: str) -> str | None:
        """As `_value` for a member's name. Names come again and again: those with nothing to mask are remembered."""
        if token in self._clean_names:
            return None
        masked = self._value(token, _MAX_LEVELS)
        if masked is None:
            if len(self._clean_names) >= _MAX_NAMES:
                self._clean_names.clear()
            self._clean_names.add(token)
        return masked

    def _value(self, token: str, level: int) -> str | None:
        """A string or number masked, None where there is nothing to mask."""
        inner = decoded(token) if token[0] == '"' else token
        masked = self.text(inner, level)
        return quote(masked) if masked != inner else None


def _is_escaped(raw: str) -> bool:
    """Whether JSON text may write a letter or a slash in another way than as it is."""
    return "\\u" in raw or "\\/" in raw


def build_masker(specs: Sequence[MaskSpec], masks_unknown: bool, problems: list[ConfigError]) -> Masker | None:
    """The masker that `specs` ask for, None where none is asked for. Rules that cannot be used join `problems`, and
    make it withhold."""
    before = len(problems)
    keys, patterns = build_rules(specs, problems)
    withholds = masks_unknown or len(problems) > before
    return Masker(keys, patterns, withholds) if keys or patterns or withholds else None
