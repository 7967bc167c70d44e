"""Where what cannot be delivered goes, when several layers of settings say something about it."""

from __future__ import annotations

from tailrace.agent.dead_lettering import open_dead_letters
from tailrace.clock import SystemClock
from tailrace.config.file import ConfigFile
from tailrace.config.layers import Layer
from tailrace.config.settings import load_settings
from tailrace.config.tables import Tables
from tailrace.destinations.dead_letter import dead_letters_in_force
from tailrace.model.resource import Resource
from tailrace.pipeline.surroundings import Surroundings

FILE = ConfigFile("f", Layer({"TAILRACE_DEAD_LETTER": "file:///dead"}, "f: "), Tables())


def test_an_unusable_one_leaves_the_one_of_the_file_and_is_said() -> None:
    said: list[str] = []

    def say(level: str, message: str, **fields: object) -> None:
        said.append(f"{level} {message} {fields}")

    settings = load_settings({"TAILRACE_DEAD_LETTER": "https://h/x"}, FILE)
    surroundings = Surroundings(Resource("f", "0" * 16), SystemClock(), lambda: 0.5, say)
    letters = open_dead_letters({}, settings, surroundings)
    assert letters is not None
    (line,) = said
    assert line.startswith('error TAILRACE_DEAD_LETTER: unknown scheme "https" in "https://h/x"')
    assert "file:///dead is used, from f: TAILRACE_DEAD_LETTER" in line


def test_a_usable_one_wins_and_what_is_below_is_not_looked_at() -> None:
    bad = ConfigFile("f", Layer({"TAILRACE_DEAD_LETTER": "nonsense"}, "f: "), Tables())
    choice = dead_letters_in_force(load_settings({"TAILRACE_DEAD_LETTER": "file:///b"}, bad), {})
    assert (choice.url, choice.source, choice.problems) == (
        "file:///b",
        "environment variable TAILRACE_DEAD_LETTER",
        [],
    )


def test_where_none_can_be_used_it_is_said_what_that_costs() -> None:
    choice = dead_letters_in_force(load_settings({"TAILRACE_DEAD_LETTER": "https://h/x"}), {})
    assert choice.destination is None
    assert [problem.remedy for problem in choice.problems] == ["known: file, s3; what cannot be delivered is lost"]
