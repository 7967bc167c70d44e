"""Masking in JSON text: strings and numbers one by one, and the values that belong to names. What is not found stays
byte for byte, and JSON stays JSON.

A value belongs to a name as a member (``{"password": X}``), as the pair of two members (``{"name": "password",
"value": X}``), as the second of a list of two (``["password", X]``), behind its name in a list of headers, and behind
an option in a list of arguments (``["--password", X]``).
"""

from __future__ import annotations

import re

from tailrace.processors.mask_plain import are_numbers, is_name, is_nothing
from tailrace.processors.mask_values import OPTION
from tailrace.protocol.jsontext import quote, scan_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.processors.mask_rules import KeyRule

    RuleOf = Callable[[str], KeyRule | None]
    Edit = tuple[int, int, str]

# Strings, brackets and numbers; what lies between them needs no look.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]|-?[0-9][0-9.eE+-]*', re.DOTALL)
# Members of the event itself: the time and the type are the platform's, and others read them.
_ENVELOPE = ("time", "type")
_NAMING = """
name key k header headername parametername parameterkey variable field param property attribute path loc instancepath
"""
_NAMES = frozenset(_NAMING.split())
_HOLDING = "value val v headervalue parametervalue newvalue oldvalue input"
_VALUES = frozenset(_HOLDING.split())
# How many parts of a path, and how many of a list's or an object's, are looked at.
_MOST_PARTS = 16
_OPTION = re.compile(f'"{OPTION}')
_CONSTANTS = ("n", "t", "f", "")
_EMPTY = re.compile(r"\{\s*\}|\[\s*\]")
_BLANKS = " \t\n\r"


class _Frame:
    """An object or a list that is open. `rule` is what a `name` member, or the element before, asks for the value;
    `values` where those of `value` members began and ended (-1: not yet) that came before their name."""

    __slots__ = ("is_list", "is_pairs", "length", "rule", "values")

    def __init__(self, is_list: bool, is_pairs: bool = False) -> None:
        self.is_list = is_list
        self.is_pairs = is_pairs
        self.length = 0
        self.rule: KeyRule | None = None
        self.values: list[list[int]] | None = None


class JsonScan:
    """One pass over one JSON text. `rule_of` says which rule a member's name belongs to, `masked` gives the text of a
    string or number masked, None where nothing is to be masked; `masked_name` the same for a member's name."""

    __slots__ = ("_edits", "_is_event", "_masked", "_masked_name", "_rule_of", "_stack", "_text", "found")

    def __init__(
        self,
        text: str,
        rule_of: RuleOf,
        masked: Callable[[str], str | None],
        masked_name: Callable[[str], str | None],
        is_event: bool,
    ) -> None:
        self._text = text
        self._rule_of = rule_of
        self._masked = masked
        self._masked_name = masked_name
        self._is_event = is_event
        self._stack: list[_Frame] = []
        self._edits: list[Edit] = []
        self.found: list[str] = []
        """Names of the rules whose values were found, once each."""

    def run(self) -> str:
        """The text masked; the very same where nothing was found."""
        index, pairs_follow = 0, False
        while (token := _TOKEN.search(self._text, index)) is not None:
            start, index = token.span()
            kind = self._text[start]
            if kind in "{[":
                index, opened = self._open(start, index)
                if opened:
                    self._stack.append(_Frame(kind == "[", pairs_follow))
            elif kind in "}]":
                self._close(index)
            elif kind == '"' and (colon := _colon_after(self._text, index)) >= 0:
                index, pairs_follow = self._member(start, index, colon + 1)
                continue
            else:
                index = self._scalar(start, index)
            pairs_follow = False
        return self._assembled() if self._edits else self._text

    def _open(self, start: int, index: int) -> tuple[int, bool]:
        """An object or a list begins: it may be, as a whole, what belongs to the element before it."""
        frame = self._stack[-1] if self._stack else None
        if frame is None or not frame.is_list or frame.rule is None:
            return index, True
        if not _may_be_secret(self._text, start, frame.rule):
            return index, True
        stop = _end_of_value(self._text, start)
        self._replace(start, stop, frame.rule)
        self._ended(stop)
        return stop, False

    def _close(self, index: int) -> None:
        frame = self._stack.pop() if self._stack else None
        if frame is not None and not frame.is_list and frame.rule is not None:
            for start, stop in frame.values or ():
                if _may_be_secret(self._text, start, frame.rule):
                    self._replace(start, stop, frame.rule)
        self._ended(index)

    def _ended(self, index: int) -> None:
        """A value ended there."""
        frame = self._stack[-1] if self._stack else None
        if frame is None:
            return
        if frame.is_list:
            frame.length += 1
            frame.rule = None
        elif frame.values is not None and frame.values[-1][1] < 0:
            frame.values[-1][1] = index

    def _member(self, start: int, stop: int, index: int) -> tuple[int, bool]:
        """A member's name. Where to go on, and whether a list behind it is one of names and values in turn."""
        text, frame = self._text, self._stack[-1] if self._stack else None
        name = decoded(text[start:stop])
        if self._is_event and len(self._stack) == 1:
            return (_end_of_value(text, index) if name in _ENVELOPE else index), False
        rule = self._rule_of(name)
        word = name.lower() if frame is not None else ""
        if rule is None and frame is not None and word in _VALUES:
            rule = frame.rule
        begin = _start_of_value(text, index)
        if rule is not None and _may_be_secret(text, begin, rule):
            index = _end_of_value(text, begin)
            self._replace(begin, index, rule)
            return index, False
        new = self._masked_name(text[start:stop])
        if new is not None:
            self._edits.append((start, stop, new))
        if frame is not None and word in _NAMES:
            frame.rule = self._rule_named_at(begin) or frame.rule
        elif frame is not None and word in _VALUES and text[begin : begin + 1] not in _CONSTANTS:
            frame.values = [*(frame.values or ())[-_MOST_PARTS:], [begin, -1]]
        return index, word.endswith("headers")

    def _rule_named_at(self, index: int) -> KeyRule | None:
        """The rule that the string at `index`, or one of a list of such, is a name of: ``"loc": ["body", "token"]``."""
        is_list = self._text.startswith("[", index)
        index += is_list
        for _ in range(_MOST_PARTS if is_list else 1):
            token = _TOKEN.match(self._text, _start_of_value(self._text, index))
            if token is None or token.group()[0] in "{}[]":
                return None
            rule = self._rule_of(decoded(token.group())) if token.group()[0] == '"' else None
            if rule is not None:
                return rule
            index = _start_of_value(self._text, token.end()) + 1  # behind the comma
        return None

    def _scalar(self, start: int, stop: int) -> int:
        token = self._text[start:stop]
        frame = self._stack[-1] if self._stack else None
        rule = frame.rule if frame is not None and frame.is_list else None
        if rule is not None and _may_be_secret(self._text, start, rule):
            self._replace(start, stop, rule)
            self._ended(stop)
            return stop
        new = self._masked(token)
        if new is not None:
            self._edits.append((start, stop, new))
        self._ended(stop)
        if frame is not None and frame.is_list and token[0] == '"':
            frame.rule = self._rule_for_next(decoded(token), frame, stop)
        return stop

    def _rule_for_next(self, name: str, frame: _Frame, stop: int) -> KeyRule | None:
        """The rule that masks the element behind this one, which ends at `stop`."""
        is_option = name.startswith("-")
        is_first = frame.length % 2 == 1 and (frame.is_pairs or frame.length == 1)
        if not (is_option or is_first) or (rule := self._rule_of(name)) is None:
            return None
        following = _start_of_value(self._text, stop)
        if not self._text.startswith(",", following):
            return None
        following = _start_of_value(self._text, following + 1)
        if is_option:
            return None if _OPTION.match(self._text, following) is not None else rule
        return rule if frame.is_pairs or self._is_second_of_two(following) else None

    def _is_second_of_two(self, index: int) -> bool:
        """Whether the element that begins there is an object or a list, or the last one, and no name as well. Among
        other lists it may be one."""
        if self._text[index : index + 1] in ("{", "["):
            return True
        stop = _end_of_value(self._text, index)
        if not self._text.startswith("]", _start_of_value(self._text, stop)):
            return False
        if len(self._stack) > 1 and self._stack[-2].is_list:
            return True
        return not (self._text.startswith('"', index) and is_name(self._text[index + 1 : stop - 1]))

    def _replace(self, start: int, stop: int, rule: KeyRule) -> None:
        self._edits.append((start, stop, quote(rule.replacement)))
        self.found.append(rule.name)

    def _assembled(self) -> str:
        pieces: list[str] = []
        copied = 0
        for start, stop, new in sorted(self._edits, key=lambda edit: (edit[0], -edit[1])):
            if start >= copied:  # else it lies in what is replaced as a whole
                pieces += [self._text[copied:start], new]
                copied = stop
        return "".join([*pieces, self._text[copied:]])


def decoded(token: str) -> str:
    """The text of a string as it stands in JSON, quotes included."""
    return scan_string(token, 1)[0] if "\\" in token else token[1:-1]


def _may_be_secret(text: str, start: int, rule: KeyRule) -> bool:
    """Whether the value there may be what the rule is for: not nothing, and no number of things."""
    kind = text[start : start + 1]
    if kind == '"':
        token = _TOKEN.match(text, start)
        value = decoded(token.group()) if token is not None else ""
        return not is_nothing(value) and not (rule.are_many and are_numbers(value, 0, len(value)))
    if kind in ("{", "["):
        if _EMPTY.match(text, start) is not None:
            return False
        return not (rule.are_many and are_numbers(text, start, start))
    return kind not in _CONSTANTS and not rule.are_many


def _colon_after(text: str, index: int) -> int:
    """Where the colon of a member's name stands, or -1."""
    index = _start_of_value(text, index)
    return index if text.startswith(":", index) else -1


def _start_of_value(text: str, index: int) -> int:
    while index < len(text) and text[index] in _BLANKS:
        index += 1
    return index


def _end_of_value(text: str, index: int) -> int:
    """Where the value ends that stands at `index` or behind blanks there."""
    index = _start_of_value(text, index)
    if text.startswith(("{", "[", '"'), index):
        depth = 0
        while (token := _TOKEN.search(text, index)) is not None:
            index = token.end()
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token.group(), 0)
            if depth <= 0:
                return index
        return len(text)
    while index < len(text) and text[index] not in ",]}" + _BLANKS:
        index += 1
    return index
