"""Which characters a part of a regular expression can match, as far as its cost depends on it.

A repetition costs no more than the text is long where it can begin at one place of each stretch only: where the
character before it cannot be one that it repeats itself. So the sets here are never too small; where nothing is known
they hold everything.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ALL = (1 << 128) - 1
# What a set holds beyond ASCII: letters and digits, blanks, and all the rest.
_NONE, _WORDS, _BLANKS, _REST, _ANY = 0, 1, 2, 4, 7
_WITH_RELATIVES = frozenset("kKsSiI")  # under IGNORECASE some character beyond ASCII is equal to them


def _mask(pattern: str) -> int:
    return sum(1 << code for code in range(128) if re.match(pattern, chr(code)))


_WORD, _DIGIT, _SPACE = _mask(r"\w"), _mask(r"\d"), _mask(r"\s")
_CATEGORIES = {
    "CATEGORY_DIGIT": (_DIGIT, _WORDS),
    "CATEGORY_NOT_DIGIT": (_ALL & ~_DIGIT, _ANY),
    "CATEGORY_SPACE": (_SPACE, _BLANKS),
    "CATEGORY_NOT_SPACE": (_ALL & ~_SPACE, _WORDS | _REST),
    "CATEGORY_WORD": (_WORD, _WORDS),
    "CATEGORY_NOT_WORD": (_ALL & ~_WORD, _BLANKS | _REST),
}


class CharSet:
    """Characters: which of ASCII (a bit each), and what beyond it. `at_boundary`: they stand before ``\\b``."""

    __slots__ = ("ascii", "at_boundary", "other")

    def __init__(self, ascii_bits: int, other: int, at_boundary: bool = False) -> None:
        self.ascii = ascii_bits
        self.other = other
        self.at_boundary = at_boundary

    def guards(self, repeated: CharSet) -> bool:
        """Whether none of these, standing before a repetition of `repeated`, could belong to it."""
        if not self.ascii & repeated.ascii and not self.other & repeated.other:
            return True
        return self.at_boundary and not repeated.ascii & ~_WORD and not repeated.other & ~_WORDS

    def is_within(self, other: CharSet) -> bool:
        return not self.ascii & ~other.ascii and not self.other & ~other.other

    def __or__(self, other: CharSet) -> CharSet:
        both = self.at_boundary and other.at_boundary
        return CharSet(self.ascii | other.ascii, self.other | other.other, both)


ANYTHING = CharSet(_ALL, _ANY)
_NOTHING = CharSet(0, _NONE)
_LINE_END = CharSet(1 << 10, _NONE)


def set_of(items: Any, flags: int) -> CharSet | None:
    """The characters of a part that matches exactly one, else None."""
    if len(items) != 1:
        return None
    operation, argument = items[0]
    name = str(operation)
    if name == "LITERAL":
        return _literal(argument, flags)
    if name == "NOT_LITERAL":
        return _without(_literal(argument, 0))
    if name == "ANY":
        return ANYTHING if flags & re.DOTALL else CharSet(_ALL & ~(1 << 10), _ANY)
    if name == "IN":
        return _class(argument, flags)
    return None


def after(operation: Any, argument: Any, before: CharSet, flags: int) -> CharSet:
    """What may stand directly before the part that follows this one, which itself has `before` before it."""
    single = set_of([(operation, argument)], flags)
    if single is not None:
        return single
    name = str(operation)
    if name == "AT":
        return _at(str(argument), before, flags)
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, _, body = argument
        last = after_all(body, ANYTHING, flags)
        return last if least > 0 else last | before
    if name == "SUBPATTERN":
        return after_all(argument[-1], before, with_flags(argument, flags))
    if name == "ATOMIC_GROUP":
        return after_all(argument, before, flags)
    if name == "BRANCH":
        branches = [after_all(branch, before, flags) for branch in argument[1]]
        total = branches[0]
        for branch in branches[1:]:
            total = total | branch
        return total
    if name in ("ASSERT", "ASSERT_NOT"):
        return _look(name, argument, before, flags)
    return ANYTHING


def after_all(items: Any, before: CharSet, flags: int) -> CharSet:
    for operation, argument in items:
        before = after(operation, argument, before, flags)
    return before


def with_flags(argument: Any, flags: int) -> int:
    """The flags inside a group: ``(?i:...)`` adds, ``(?-i:...)`` takes away."""
    _, added, taken, _ = argument
    return (flags | int(added)) & ~int(taken)


def _at(where: str, before: CharSet, flags: int) -> CharSet:
    if where == "AT_BEGINNING_STRING" or (where == "AT_BEGINNING" and not flags & re.MULTILINE):
        return _NOTHING
    if where == "AT_BEGINNING":
        return _LINE_END
    return CharSet(before.ascii, before.other, where == "AT_BOUNDARY" or before.at_boundary)


def _look(name: str, argument: Any, before: CharSet, flags: int) -> CharSet:
    """A look at the one character before narrows it down."""
    direction, body = argument
    looked_for = set_of(body, flags) if direction < 0 else None
    if looked_for is None:
        return before
    if name == "ASSERT":
        return CharSet(before.ascii & looked_for.ascii, before.other & looked_for.other, before.at_boundary)
    # only what is known exactly may be taken away
    excluded = looked_for.ascii if looked_for.ascii != _ALL else 0
    return CharSet(before.ascii & ~excluded, before.other, before.at_boundary)


def _literal(code: int, flags: int) -> CharSet:
    if code >= 128:
        return CharSet(_ALL if flags & re.IGNORECASE else 0, _ANY)
    if not flags & re.IGNORECASE:
        return CharSet(1 << code, _NONE)
    letter = chr(code)
    bits = 1 << ord(letter.lower()) | 1 << ord(letter.upper())
    return CharSet(bits, _WORDS if letter in _WITH_RELATIVES else _NONE)


def _class(items: Any, flags: int) -> CharSet:
    total = _NOTHING
    negated = False
    for operation, argument in items:
        name = str(operation)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            total = total | _literal(argument, flags)
        elif name == "RANGE":
            total = total | _range(argument[0], argument[1], flags)
        elif name == "CATEGORY" and str(argument) in _CATEGORIES:
            bits, other = _CATEGORIES[str(argument)]
            total = total | CharSet(bits, _ANY if flags & re.ASCII else other)
        else:
            return ANYTHING
    if not negated:
        return total
    return _without(total) if total.ascii != _ALL else ANYTHING


def _range(low: int, high: int, flags: int) -> CharSet:
    total = CharSet(0, _ANY if high >= 128 else _NONE)
    for code in range(low, min(high, 127) + 1):
        total = total | _literal(code, flags)
    return CharSet(_ALL, _ANY) if high >= 128 and flags & re.IGNORECASE else total


def _without(excluded: CharSet) -> CharSet:
    """Everything but these. Beyond ASCII nothing is taken away."""
    return CharSet(_ALL & ~excluded.ascii, _ANY)
