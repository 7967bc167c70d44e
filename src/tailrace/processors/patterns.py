"""Regular expressions that cannot stop the agent. Loaded only where a mask or a filter has a pattern: it needs `re`.

Python's `re` has no time limit, and holds the interpreter's lock all the while. So a pattern is looked at before it is
used: what can backtrack exponentially is refused (a repetition of something that is itself variable; a reference back),
and of the others the cost in the worst case is known: ``ways * length ** (repetitions + 1)``. A repetition that can
begin at one place of each stretch only, because what stands before it cannot belong to it, does not count: wherever it
ends, there is one place where it began, so however often it is tried it goes through the text once. That gives the
longest text that one call may see. Longer texts are searched through windows that overlap by half, and between two of
them the clock is looked at.
"""

from __future__ import annotations

import re
import re._parser as parser  # type: ignore[import-not-found]  # the stubs leave it out; it only reads, and we only look
import warnings

from tailrace.errors import ConfigError
from tailrace.processors.pattern_sets import ANYTHING, CharSet, after, set_of, with_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from tailrace.processors.pattern_budget import Budget

MAX_PATTERN_CHARACTERS = 1000
# Steps of the matcher in one call, at worst: some 50 ms.
MAX_STEPS = 10_000_000
# The least text that a call must be able to see: a match of half of it is found wherever it lies.
LEAST_WINDOW = 200
# A repetition of at most so often counts by its possibilities, one of more as if it had no end.
SHORT = 32
MAX_WAYS = 1024
_FIXED = 256
# No record is longer: a telemetry body is 256 KiB, and what is cut is stitched up to some more.
LONGEST_TEXT = 1_048_576


class SafePattern:
    """A compiled pattern and the longest text that one call of it may see.

    `limit` is how long (in characters) what it finds may be to be found wherever it lies; None: any length.
    """

    __slots__ = ("_compiled", "_is_cheap", "limit", "window")

    def __init__(self, compiled: re.Pattern[str], window: int, longest_match: int = 0) -> None:
        self._compiled = compiled
        self.window = window
        # goes through any text once: nothing has to be measured
        self._is_cheap = window >= LONGEST_TEXT
        self.limit = window // 2 if not self._is_cheap and longest_match > window // 2 else None

    def spans(self, text: str, budget: Budget) -> tuple[list[tuple[int, int]], int]:
        """Where it is found, in order and apart from each other, and how many characters were searched: what lies
        behind these was given up for want of time. With a group in the pattern: where the group is.
        """
        if self._is_cheap:
            found: list[tuple[int, int]] = []
            if self._compiled.search(text) is not None:  # in most texts it is not, and they are many
                self._look(text, 0, len(text), found)
            return found, len(text)
        most_s = budget.for_text_s
        if most_s <= 0:
            return [], 0
        since_s = budget.now_s()
        try:
            return self._through_windows(text, lambda: budget.now_s() - since_s > most_s)
        finally:
            budget.spend(since_s)

    def _through_windows(self, text: str, is_late: Callable[[], bool]) -> tuple[list[tuple[int, int]], int]:
        found: list[tuple[int, int]] = []
        begin = 0
        while True:
            end = min(len(text), begin + self.window)
            self._look(text, begin, end, found)
            if end == len(text):
                return (found if begin == 0 else joined(found)), end
            begin += self.window // 2
            if is_late():
                return joined(found), begin

    def is_in(self, text: str, budget: Budget) -> bool:
        """Whether it is found. What could not be searched in time counts as not found."""
        if self._is_cheap:
            return self._compiled.search(text) is not None
        most_s = budget.for_text_s
        if most_s <= 0:
            return False
        since_s = budget.now_s()
        begin = 0
        try:
            while self._compiled.search(text, begin, begin + self.window) is None:
                if begin + self.window >= len(text) or budget.now_s() - since_s > most_s:
                    return False
                begin += self.window // 2
            return True
        finally:
            budget.spend(since_s)

    def _look(self, text: str, begin: int, end: int, found: list[tuple[int, int]]) -> None:
        group = 1 if self._compiled.groups else 0
        for match in self._compiled.finditer(text, begin, end):
            start, stop = match.span(group)
            if start < 0:
                start, stop = match.span()
            if stop == end < len(text) and match.start() < begin + self.window // 2:
                # it may go on, and the next window has not all of it: then it does, to the next blank
                while stop < len(text) and not text[stop].isspace():
                    stop += 1
            if stop > start:
                found.append((start, stop))


def compile_safe(pattern: str, place: str) -> SafePattern:
    """Raises `ConfigError` for what is no pattern, and for what may take too long."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ConfigError(place, "the pattern is too long", f"allowed: up to {MAX_PATTERN_CHARACTERS} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = parser.parse(pattern)
            compiled = re.compile(pattern)
    except re.error as error:
        found = f"it is no regular expression: {ascii(error.msg)[1:-1]} at character {error.pos}"
        raise ConfigError(place, found, "write one of Python's re module") from None
    except (RecursionError, OverflowError):
        raise ConfigError(place, "the pattern cannot be compiled", "write a simpler one") from None
    if compiled.groups > 1:
        raise ConfigError(place, "the pattern has several groups", "one at most; write (?:...) for the others")
    least, most = tree.getwidth()
    if least == 0:
        raise ConfigError(place, "the pattern matches an empty text", "at least one character must be asked for")
    return SafePattern(compiled, window_of(tree, place), longest_match=int(most))


def compile_all(patterns: Iterable[str], place: str, problems: list[ConfigError]) -> tuple[SafePattern, ...]:
    """Those that can be used; the others join `problems`."""
    compiled = []
    for pattern in patterns:
        try:
            compiled.append(compile_safe(pattern, place))
        except ConfigError as problem:
            problems.append(problem)
    return tuple(compiled)


def window_of(tree: Any, place: str) -> int:
    """The longest text that a call may see. Raises `ConfigError` where that is too short to be of use."""
    cost = _sequence(tree, _Scope(place, tree.state.flags), True)
    window = int((MAX_STEPS / min(cost.ways, MAX_STEPS)) ** (1 / (cost.repetitions + 1)))
    if cost.ways > MAX_WAYS or window < max(LEAST_WINDOW, 2 * tree.getwidth()[0]):
        raise _too_slow(place, "it can match one text in too many ways")
    return window


class _Scope:
    """Where a part stands: `place` for messages, the `flags` that hold there, and what comes before it: first what may
    be `before`, then one character of each of `since`."""

    __slots__ = ("before", "flags", "place", "since")

    def __init__(self, place: str, flags: int, before: CharSet = ANYTHING, since: tuple[CharSet, ...] = ()) -> None:
        self.place = place
        self.flags = flags
        self.before = before
        self.since = since

    def anywhere(self) -> _Scope:
        return _Scope(self.place, self.flags)

    def behind(self, operation: Any, argument: Any) -> _Scope:
        """What comes after that part, which stands here."""
        single = set_of([(operation, argument)], self.flags)
        if single is not None:
            return _Scope(self.place, self.flags, self.before, (*self.since, single))
        last = self.since[-1] if self.since else self.before
        return _Scope(self.place, self.flags, after(operation, argument, last, self.flags))

    def inside(self, argument: Any) -> _Scope:
        """Within a group."""
        return _Scope(self.place, with_flags(argument, self.flags), self.before, self.since)

    def guards(self, repeated: CharSet) -> bool:
        """Whether a repetition of `repeated` can begin here at one place of each stretch of such characters only: going
        back, past characters that are surely of them, one comes that is not."""
        for single in reversed(self.since):
            if single.guards(repeated):
                return True
            if not single.is_within(repeated):
                return False
        return self.before.guards(repeated)


class _Cost:
    """`ways` to match at one place, apart from `repetitions` without an end that more must follow. With `is_bound`
    there are such that do not count, since they begin at one place of each stretch."""

    __slots__ = ("is_bound", "repetitions", "ways")

    def __init__(self, ways: int = 1, repetitions: int = 0, is_bound: bool = False) -> None:
        self.ways = ways
        self.repetitions = repetitions
        self.is_bound = is_bound

    def then(self, other: _Cost) -> None:
        self.ways = min(self.ways * other.ways, MAX_STEPS)
        self.repetitions += other.repetitions
        self.is_bound = self.is_bound or other.is_bound


def _sequence(items: Any, scope: _Scope, is_end: bool) -> _Cost:
    total = _Cost()
    last = len(items) - 1
    for index, (operation, argument) in enumerate(items):
        total.then(_item(operation, argument, scope, is_end and index == last))
        scope = scope.behind(operation, argument)
    return total


def _item(operation: Any, argument: Any, scope: _Scope, is_end: bool) -> _Cost:
    name = str(operation)
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, body = argument
        return _repetition(least, most, body, scope, is_end)
    if name == "BRANCH":
        branches = [_sequence(branch, scope, is_end) for branch in argument[1]]
        return _Cost(
            sum(b.ways for b in branches), max(b.repetitions for b in branches), any(b.is_bound for b in branches)
        )
    if name == "SUBPATTERN":
        return _sequence(argument[-1], scope.inside(argument), is_end)
    if name == "ATOMIC_GROUP":
        return _sequence(argument, scope, is_end)
    if name in ("ASSERT", "ASSERT_NOT"):
        return _sequence(argument[1], scope.anywhere(), False)
    if name in ("GROUPREF", "GROUPREF_EXISTS"):
        raise _too_slow(scope.place, "it refers back to a group")
    return _Cost()


def _repetition(least: int, most: Any, body: Any, scope: _Scope, is_end: bool) -> _Cost:
    inner = _sequence(body, scope.anywhere(), False)
    is_simple = inner.ways == 1 and inner.repetitions == 0 and not inner.is_bound
    if is_simple and least == most and int(most) <= _FIXED:
        return _Cost()
    if int(most) > SHORT:
        if not is_simple or body.getwidth()[0] == 0:
            raise _too_slow(scope.place, "it repeats what is itself variable (a repetition, an option or alternatives)")
        repeated = set_of(body, scope.flags)
        if repeated is not None and scope.guards(repeated):
            return _Cost(is_bound=True)
        # at the end of a pattern nothing can fail behind it, so nothing is tried again
        return _Cost(1, 0 if is_end else 1)
    ways = 0
    for times in range(least, int(most) + 1):
        ways = min(ways + min(inner.ways**times, MAX_STEPS), MAX_STEPS)
    return _Cost(ways, inner.repetitions * int(most), inner.is_bound)


def _too_slow(place: str, why: str) -> ConfigError:
    return ConfigError(place, f"the pattern may be too slow: {why}", "write it with fixed parts and {least,most}")


def joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """In order, those that overlap as one."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged
