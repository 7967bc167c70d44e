"""Our reader of TOML against Python's own: the same documents, the same refusals."""

from __future__ import annotations

import math
import tomllib
from datetime import date, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.config.toml import TomlError, loads


def theirs(text: str) -> object:
    """What `tomllib` makes of it, None where it refuses."""
    try:
        return simple(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def ours(text: str) -> object:
    try:
        return simple(loads(text))
    except TomlError as error:
        return None if "line " in str(error) else error


def simple(value: object) -> object:
    """Comparable: kinds are kept apart, dates and times are one kind."""
    if isinstance(value, dict):
        return {name: simple(part) for name, part in value.items()}
    if isinstance(value, list):
        return [simple(part) for part in value]
    if isinstance(value, date | time) or type(value).__name__ == "DateText":
        return "<date>"
    if isinstance(value, float) and math.isnan(value):
        return "<nan>"
    return (type(value).__name__, value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n# nothing\n",
        "a = 1\r\nb = 2\r\n",
        "a.\"b c\".'d' = 1\na . e = 2",
        '"" = 1',
        "1.2 = 3",
        "a = [1, [2, 'x'], {b = 1, c.d = 2},\n # comment\n ]",
        "a = {}\nb = []\nc = { }",
        "[a]\nb = 1\n[c.d]\ne = 1\n[c]\nf = 2",
        "[[a]]\nb = 1\n[[a]]\n[a.c]\nd = 1\n[[a.e]]\n[[a.e]]",
        "[fruit]\napple.color = 1\napple.taste.sweet = true\n[fruit.apple.texture]\nsmooth = true",
        "[ a . b ]\nc = 1",
        "a = 0x1F\nb = 0o17\nc = 0b101\nd = 1_000\ne = -5\nf = +0\ng = -0",
        "a = 1.5\nb = -1e10\nc = 1E+5\nd = 1_0.0_1\ne = inf\nf = -inf\ng = nan\nh = 0.0\ni = 0e0",
        'a = "\\b\\t\\n\\f\\r\\"\\\\\\u00e9\\U0001F600"',
        'a = """\none\\\n   \n  two \\" ""x"""',
        'a = """""two quotes"""""',
        "a = '''\none 'x' \\ '''''",
        "a = 2026-11-20T21:00:00Z\nb = 2026-11-20 21:00:00.5\nc = 2026-11-20\nd = 21:00:00",
        "a = true # yes",
        "a = '''x'''",
        "[a.b.c]\nz = 9\n[a]\nb.x = 1",
        "[[a.b]]\nx = 1\n[a]\ny = 1",
    ],
)
def test_documents(text: str) -> None:
    assert theirs(text) is not None
    assert ours(text) == theirs(text)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a =",
        "= 1",
        "a = 1 b = 2",
        "a = 1\na = 2",
        "a.b = 1\na.b.c = 2",
        "a = 1\n[a]",
        "a = 1\n[a.b]",
        "[a]\n[a]",
        "[a]\nb.c = 1\n[a.b]",
        "[a.b]\nz = 1\n[a]\nb.c = 1",
        "a = {b = 1}\na.c = 2",
        "a = {b = 1}\n[a.c]",
        "a = []\n[[a]]",
        "[[a]]\n[a]",
        "[a]\n[[a]]",
        "[a",
        "[a]]",
        "[[a]",
        "[]",
        "[ [a]]",
        "a = [1 2]",
        "a = [1,,2]",
        "a = [",
        "a = {b = 1,}",
        "a = {b = 1\n}",
        "a = {b = 1, b = 2}",
        "a = {b.c = 1, b = 2}",
        "a = {b = {}, b.c = 2}",
        "a = {b = 1 c = 2}",
        'a = "x',
        'a = "x\ny"',
        "a = 'x",
        'a = """x',
        'a = "\\x"',
        'a = "\\u12"',
        'a = "\\ud800"',
        'a = "\\U00110000"',
        'a = "\x01"',
        "a = 1 # \x01",
        "a = '\x7f'",
        "a = 01",
        "a = 1__0",
        "a = _1",
        "a = 1_",
        "a = 1.",
        "a = .5",
        "a = 1.e5",
        "a = 1e",
        "a = 01.5",
        "a = 0x",
        "a = -0x1",
        "a = True",
        "a = yes",
        "a = +",
        "a = 1\rb = 2",
        "\ufeffa = 1",
        "a b = 1",
        "a. = 1",
        "[a]\nb.c = 1\n[d]\n[a]\nb.e = 1",
    ],
)
def test_what_is_no_toml_is_refused(text: str) -> None:
    assert theirs(text) is None
    with pytest.raises(TomlError, match=r"\(at line \d+, column \d+\)$"):
        loads(text)


def test_an_error_names_its_place() -> None:
    with pytest.raises(TomlError, match=r'^"=" is missing \(at line 2, column 4\)$'):
        loads("a = 1\nb  \n")


def test_deep_nesting_is_refused_not_fatal() -> None:
    with pytest.raises(TomlError, match="nested too deeply"):
        loads("a = " + "[" * 100_000)
    with pytest.raises(TomlError, match="nested too deeply"):
        loads("a = " + "{a = " * 100_000)


SIGNS = ["a", "b", "c", ".", "=", " ", "\n", "[", "]", "[[", "]]", "{", "}", ",", '"', "'", '"""', "'''", "\\", "\\n"]
WORDS = [
    "1",
    "0",
    "_",
    "-",
    "+",
    "e",
    "#",
    "true",
    "x",
    "a = 1\n",
    "b = 2\n",
    "[a]\n",
    "[[a]]\n",
    "[a.b]\n",
    "a.b = 1\n",
]
MORE = ["a = {b = 1}\n", "a = [1]\n", "c.d = 1\n", "[[a.b]]\n", "[c]\n", "b.c = 1\n"]
pieces = st.sampled_from([*SIGNS, *WORDS, *MORE])


@settings(max_examples=500, deadline=None)
@given(st.lists(pieces, max_size=10).map("".join))
def test_the_same_as_pythons_own_reader_in_taking_and_refusing(text: str) -> None:
    assert ours(text) == theirs(text)


HEADERS = ["[a]", "[b]", "[a.b]", "[a.b.c]", "[[a]]", "[[b]]", "[[a.b]]", "[c]", "[[c.a]]", "[b.a]"]
KEYS = ["x = 1", "a = 1", "a.b = 1", "a.c = 1", "b.c.d = 1", "b = {}", "b = {c = 1}", "a = []", "a = [{}]", "c.x = 2"]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from([*HEADERS, *KEYS]), max_size=6).map("\n".join))
def test_tables_that_meet_again_are_judged_as_by_pythons_own_reader(text: str) -> None:
    assert ours(text) == theirs(text)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_taken_or_refused(text: str) -> None:
    assert ours(text) == theirs(text)
