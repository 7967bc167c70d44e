"""Masking: what must not leave is replaced before a record is queued, written to disk or sent. Only what is found is
touched; everything else stays byte for byte, and JSON stays JSON.
"""

from __future__ import annotations

import re

from tailrace.processors.mask_rules import build_rules
from tailrace.protocol.events import split_events
from tailrace.protocol.jsontext import dumps, loads, quote, scan_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.config.tables import MaskSpec
    from tailrace.errors import ConfigError
    from tailrace.model.record import Record
    from tailrace.pipeline.interfaces import Diagnostics
    from tailrace.processors.mask_rules import KeyRule, PatternRule

WITHHELD = "withheld"
# Strings, brackets and numbers; what lies between them needs no look.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]|-?[0-9][0-9.eE+-]*', re.DOTALL)
# Members of the event itself: the time and the type are the platform's, and others read them.
_ENVELOPE = ("time", "type")
# JSON in a text in JSON in a text: deeper than this it is text.
_MAX_LEVELS = 3
_MAX_NAMES = 2000


class Masker:
    """Masks records in place and counts by rule.

    With `withholds` there are rules that nobody could read: then nothing of what a function or an extension wrote is
    passed on, for what should have been masked must not leave because of a slip in a file.
    """

    __slots__ = ("_by_key", "_clean_names", "_rules", "counts", "withholds")

    def __init__(self, keys: Sequence[KeyRule], patterns: Sequence[PatternRule], withholds: bool = False) -> None:
        self._rules: tuple[KeyRule | PatternRule, ...] = (*keys, *patterns)
        self._by_key = {key: rule for rule in reversed(keys) for key in rule.keys}
        self._clean_names: set[str] = set()
        self.withholds = withholds
        self.counts: dict[str, int] = {}

    def mask(self, record: Record) -> None:
        """Afterwards neither `record.raw` nor `record.event` holds what the rules find."""
        raw = record.raw if record.raw is not None else dumps(record.event)
        if self.withholds and not record.type.startswith("platform."):
            masked = self._withheld(record)
        else:
            masked = self._json(raw, 0, isinstance(record.event, dict))
        if masked != raw:
            events = split_events(f"[{masked}]".encode("utf-8", "replace")).events
            record.raw = masked
            record.event = events[0].value if events else None
            record.line = None

    def tell(self, diagnostics: Diagnostics) -> None:
        """One line with the counts, where there are any."""
        if self.counts:
            diagnostics("info", "masked before delivery", rules=dict(self.counts))

    def text(self, text: str, level: int = 0) -> str:
        """A text masked, as JSON where it is an object or a list."""
        if level < _MAX_LEVELS and text.lstrip()[:1] in ("{", "["):
            try:
                loads(text)
            except (ValueError, RecursionError):
                pass
            else:
                return self._json(text, level + 1, False)
        for rule in self._rules:
            text, found = rule.apply(text)
            if found:
                self._count(rule.name, found)
        return text

    def _count(self, name: str, found: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + found

    def _withheld(self, record: Record) -> str:
        self._count(WITHHELD, 1)
        return f'{{"time":{quote(record.time)},"type":{quote(record.type)},"record":"{WITHHELD}"}}'

    def _json(self, text: str, level: int, is_event: bool) -> str:
        """JSON text with its strings and numbers masked, and the values of members that a rule names."""
        pieces: list[str] = []
        copied = depth = index = 0
        while (token := _TOKEN.search(text, index)) is not None:
            start, index = token.span()
            found = text[start]
            if found in "{}[]":
                depth += 1 if found in "{[" else -1
                continue
            colon = _colon_after(text, index) if found == '"' else -1
            stop, new = index, None
            if colon < 0:
                new = self._value(text[start:index], level)
            elif is_event and depth == 1:
                name = _decoded(text[start:index])
                index = _end_of_value(text, colon + 1)[1] if name in _ENVELOPE else colon + 1
            else:
                rule = self._by_key.get(_decoded(text[start:index]).lower())
                if rule is not None:
                    start, stop = _end_of_value(text, colon + 1)
                    new = quote(rule.replacement)
                    self._count(rule.name, 1)
                    index = stop
                else:
                    new = self._name(text[start:index])
            if new is not None:
                pieces += [text[copied:start], new]
                copied = stop
        return "".join([*pieces, text[copied:]]) if pieces else text

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
        inner = _decoded(token) if token[0] == '"' else token
        masked = self.text(inner, level)
        return quote(masked) if masked != inner else None


def build_masker(specs: Sequence[MaskSpec], masks_unknown: bool, problems: list[ConfigError]) -> Masker | None:
    """The masker that `specs` ask for, None where none is asked for. Rules that cannot be used join `problems`, and
    make it withhold."""
    before = len(problems)
    keys, patterns = build_rules(specs, problems)
    withholds = masks_unknown or len(problems) > before
    return Masker(keys, patterns, withholds) if keys or patterns or withholds else None


def _decoded(token: str) -> str:
    return scan_string(token, 1)[0] if "\\" in token else token[1:-1]


def _colon_after(text: str, index: int) -> int:
    """Where the colon of a member's name stands, or -1."""
    while index < len(text) and text[index] in " \t\n\r":
        index += 1
    return index if text.startswith(":", index) else -1


def _end_of_value(text: str, index: int) -> tuple[int, int]:
    """From where to where the value behind a colon goes."""
    while index < len(text) and text[index] in " \t\n\r":
        index += 1
    start = index
    if text.startswith(("{", "[", '"'), index):
        depth = 0
        while (token := _TOKEN.search(text, index)) is not None:
            index = token.end()
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token.group(), 0)
            if depth <= 0:
                return start, index
        return start, len(text)
    while index < len(text) and text[index] not in ",]} \t\n\r":
        index += 1
    return start, index
