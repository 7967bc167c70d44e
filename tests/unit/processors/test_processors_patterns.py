"""Patterns that somebody wrote: those that could stop the agent are refused, the others have their bounds."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.errors import ConfigError
from tailrace.processors.pattern_budget import BODY_S, TEXT_S, Budget
from tailrace.processors.patterns import (
    LEAST_WINDOW,
    LONGEST_TEXT,
    MAX_STEPS,
    SafePattern,
    compile_all,
    compile_safe,
)


class Ticking:
    """A clock on which every look takes `step_s`."""

    def __init__(self, step_s: float) -> None:
        self.step_s = step_s
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


def spans_of(pattern: SafePattern, text: str) -> list[tuple[int, int]]:
    """Where it is found in a text for which there is time."""
    found, n_searched = pattern.spans(text, Budget(lambda: 0.0))
    assert n_searched == len(text)
    return found


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(?:a*)*b",
        r"(?:a|aa)+b",
        r"(?:a|ab|b)*c",
        r"(?:\d+,?)+x",
        r"(?:a?){20}a{20}",
        r"(?:[^\"\\]|\\.)*\"",
        r"(?:x+y){1,3}z",
        r"(.)\1",
        r"(?P<q>['\"]).+(?P=q)",
        r"(a)?b(?(1)c|d)",
        r".*.*.*x",
        r"\s*a[\s\S]*b.*c\s*d",
        r"(?:\"[^\"]*\",)+x",
        r"(?:\"[^\"]*.)+x",
        r"(?=(a+)+b)x",
        r"(?>a+)+b",
        r"x{5000}y",
        r"(?:a{1,9}){1,9}b",
    ],
)
def test_what_may_take_exponential_or_very_long_time_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="the pattern may be too slow: ") as caught:
        compile_safe(pattern, "here")
    assert str(caught.value).startswith("here: ")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("(", "it is no regular expression: "),
        ("a" * 1001, "the pattern is too long"),
        ("a*", "the pattern matches an empty text"),
        (r"\b", "the pattern matches an empty text"),
        ("(a)(b)", "the pattern has several groups"),
    ],
)
def test_what_is_of_no_use_is_refused(pattern: str, found: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_safe(pattern, "here")
    assert found in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d{13,19}",
        r"Bearer \S+",
        r"(?i)password=\S+",
        r"Bearer\s+(\S+)",
        r"(?:\d{1,3}\.){3}\d{1,3}",
        r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        r"[\w.+-]+@[\w-]+\.\w+",
        r"\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}",
        r"(?:foo|bar|baz)=\w+",
        r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)",
        r"ab+?c",
        r"(?s:BEGIN.+END)",
    ],
)
def test_what_people_write_is_taken(pattern: str) -> None:
    assert compile_safe(pattern, "here").window >= LEAST_WINDOW


atoms = st.sampled_from(["a", "b", "[ab]", ".", r"\w", "(?:ab)", "(?:a|b)", "(?:a|ab)", "(?=a)", r"\b", "x"])
repeated = st.tuples(atoms, st.sampled_from(["", "", "*", "+", "?", "+?", "{2}", "{1,3}", "{2,}", "{1,40}"])).map(
    "".join
)
patterns = st.recursive(
    st.lists(repeated, min_size=1, max_size=4).map("".join),
    lambda inner: st.tuples(inner, st.sampled_from(["", "*", "+", "{1,2}", "{3}"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
    max_leaves=3,
)


@settings(max_examples=150, deadline=None)
@given(patterns, st.text("abx ", min_size=1, max_size=3))
def test_no_pattern_that_is_taken_gets_stuck_on_hostile_text(pattern: str, piece: str) -> None:
    # what would need exponential time does not end before the limit of this test
    try:
        safe = compile_safe(pattern, "here")
    except ConfigError:
        return
    text = piece * (min(safe.window, 20_000) // len(piece)) + "!"
    spans = spans_of(safe, text)
    assert all(0 <= start < stop <= len(text) for start, stop in spans)
    assert all(stop <= start for (_, stop), (start, _) in pairwise(spans))


def test_a_group_names_the_part_that_counts() -> None:
    assert spans_of(compile_safe(r"key=(\w+)", "here"), "a key=bcd e") == [(6, 9)]
    assert spans_of(compile_safe(r"key=(\w+)|x", "here"), "x") == [(0, 1)]


@given(st.integers(0, 900), st.integers(1, 100))
def test_through_windows_it_is_found_wherever_it_lies(before: int, length: int) -> None:
    safe = SafePattern(re.compile("a+"), 200)
    text = "-" * before + "a" * length + "-" * 300
    assert spans_of(safe, text) == [(before, before + length)]
    assert safe.is_in(text, Budget())


def test_what_goes_on_behind_a_window_is_found_to_its_end() -> None:
    safe = SafePattern(re.compile("key=[a-z]+"), 200)
    assert spans_of(safe, "key=" + "a" * 1000 + " b") == [(0, 1004)]


def test_what_is_not_searched_in_time_is_known_and_counts_as_not_found_by_filters() -> None:
    text = "-" * 1000 + "a" + "-" * 1000
    slow = SafePattern(re.compile("a+"), 200)
    found, n_searched = slow.spans(text, Budget(Ticking(TEXT_S * 0.6)))
    assert found == []
    assert 100 <= n_searched <= 1000
    assert not slow.is_in(text, Budget(Ticking(TEXT_S * 0.6)))


def test_texts_of_one_post_share_what_they_may_cost_and_the_next_post_has_its_own() -> None:
    slow, cheap = SafePattern(re.compile("a+"), 200), SafePattern(re.compile("a"), LONGEST_TEXT)
    budget = Budget(Ticking(TEXT_S * 0.6))
    searched = [slow.spans("-a", budget) for _ in range(10)]
    n_in_time = int(BODY_S / (TEXT_S * 0.6)) + 1
    assert searched == [([(1, 2)], 2)] * n_in_time + [([], 0)] * (10 - n_in_time)
    assert not slow.is_in("-a", budget)
    assert cheap.spans("-a", budget) == ([(1, 2)], 2)
    assert cheap.is_in("-a", budget)
    budget.begin_body()
    assert slow.spans("-a", budget) == ([(1, 2)], 2)
    assert slow.is_in("-a", budget)


def test_one_bad_pattern_of_several_is_named_and_left_out() -> None:
    problems: list[ConfigError] = []
    (kept,) = compile_all(["a", "("], "here", problems)
    assert kept.is_in("cab", Budget())
    assert len(problems) == 1


def test_a_window_keeps_one_call_within_its_steps() -> None:
    assert compile_safe(r"\w+@", "here").window ** 2 <= MAX_STEPS
    assert compile_safe(r".*@\S+\.\w+", "here").window ** 3 <= MAX_STEPS


LINEAR = [
    (r"token-[A-Za-z0-9]{20,}-end", ["token-", "token-a", "a", "-en", "token-aaaaaaaaaaaaaaaaaaaa-en"]),
    (r'token="([^"]+)"', ['token="', 'token="a', "token=", '"']),
    (r"\b\w+@", ["a", "a ", "a@ "]),
    (r"(?<![0-9])[0-9]{13,}(?![0-9a-z])", ["1", "1" * 13 + "a", "1 "]),
    (r"^\d+:\d+;", ["1", "1:", "1:1"]),
    (r"<a>[^<]*</a>", ["<a>", "<a>b", "<a></"]),
    (r"key=[a-z ]+ \d+;", ["key=", "key=a ", "key=a 1", "a 1", " 1"]),
    (r"Bearer\s+(\S+)\s+x", ["Bearer ", "Bearer a ", "a ", " "]),
    (r'(?:"[^"]*",){1,3}z', ['"', '"a', '"a",', ","]),
    (r"(?i)sess=([k-z]+);", ["sess=", "s", "sess=\u017f", "\u212a"]),
    (r"(?:a|ab)=[^=]*=[^=]+!", ["a=", "ab=", "=", "ab=b"]),
    (r",[^,]*?,[^,]*,x", [",", ",a", "a,"]),
]


@pytest.mark.parametrize(("pattern", "pieces"), LINEAR)
def test_a_repetition_that_begins_at_one_place_only_is_searched_in_texts_of_any_length(
    pattern: str, pieces: list[str]
) -> None:
    safe = compile_safe(pattern, "here")
    assert safe.limit is None
    assert safe.window >= LONGEST_TEXT
    for piece in pieces:
        # what is quadratic after all is not done before the limit of this test
        spans_of(safe, piece * (LONGEST_TEXT // len(piece)) + "!")
        spans_of(safe, "x" + pieces[0] + piece * (LONGEST_TEXT // len(piece)))


def test_a_very_long_value_between_fixed_parts_is_found() -> None:
    value = "a" * 500_000
    assert spans_of(compile_safe(r"token-[A-Za-z0-9]{20,}-end", "here"), f"x token-{value}-end y") == [(2, 500_012)]
    assert spans_of(compile_safe(r'token="([^"]+)"', "here"), f'token="{value}"') == [(7, 500_007)]


@pytest.mark.parametrize(
    ("pattern", "limit"),
    [
        (r"token[A-Za-z0-9]{20,}-end", 1581),  # "token" may be in it again: tokentokentoken...
        (r"[\w.+-]+@[\w-]+\.\w+", 1581),
        (r"(?s:BEGIN.+END)", 1581),
        (r"(?i)key=[a-z]+\u017f;", None),
        (r"(?i)key\u017f[a-z]+;", 1581),  # that letter is an s, to who ignores case
        (r"(?i)[^\u017f]s+;", 1581),
        (r"\[[^]]*\]", 1581),
        (r"a?[^a]+b", 1118),
        (r"(?<![a-f])[a-z]+;", 1581),
        (r"(?<![a-z])[a-z]+;", None),
        (r"<password>([^<]+)</password>", None),
        (r"<.a>([^<]+)</a>", 1581),
        (r"\btoken[a-z]+;", None),
        (r"\d{13,19}x", None),
        (r"Bearer \S+", None),
        (r".*@\S+\.\w+", 107),
    ],
)
def test_up_to_which_length_a_match_is_found_wherever_it_lies(pattern: str, limit: int | None) -> None:
    assert compile_safe(pattern, "here").limit == limit


@settings(max_examples=150, deadline=None)
@given(patterns, st.text("abx ", min_size=1, max_size=3))
def test_no_pattern_without_a_limit_is_slow_on_a_long_text(pattern: str, piece: str) -> None:
    try:
        safe = compile_safe(pattern, "here")
    except ConfigError:
        return
    if safe.window * 10 >= MAX_STEPS:  # nothing in it can be tried in many ways
        spans_of(safe, piece * (400_000 // len(piece)) + "!")
