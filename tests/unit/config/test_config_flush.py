"""How TAILRACE_FLUSH is written, and Datadog's word for it."""

from __future__ import annotations

import pytest

from tailrace.config.flush import FlushStrategy, parse_flush_strategy
from tailrace.config.settings import load_settings
from tailrace.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "policy", "interval_ms"),
    [
        ("adaptive", "adaptive", None),
        ("default", "adaptive", None),
        ("end", "end", None),
        ("end,7000", "end", 7000),
        ("periodic", "periodic", 10_000),
        ("periodic,2500", "periodic", 2500),
        ("periodically,60000", "periodic", 60_000),
        ("continuous", "continuous", None),
        ("continuously,1000", "continuous", 1000),
        (" Continuously , 20 ", "continuous", 20),
    ],
)
def test_both_grammars_are_understood(text: str, policy: str, interval_ms: int | None) -> None:
    assert parse_flush_strategy(text) == FlushStrategy(policy, interval_ms)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("often", 'TAILRACE_FLUSH: unknown flush policy "often"; allowed: adaptive, end, '),
        ("perodic", 'unknown flush policy "perodic" (did you mean "periodic"?)'),
        ("periodically,", '"periodically," has no usable interval'),
        ("periodically,soon", '"periodically,soon" has no usable interval'),
        ("continuously,0", '"continuously,0" has no usable interval'),
        ("continuously,-5", '"continuously,-5" has no usable interval'),
        ("periodic,900001", "MS from 1 to 900000; adaptive is used"),
        ("default,5", '"default,5" has an interval, and default takes none'),
        ("٣", "unknown flush policy"),
        (",", "unknown flush policy"),
    ],
)
def test_what_is_not_understood_is_said_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_flush_strategy(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ours_wins_over_datadogs_and_each_is_named_as_the_source() -> None:
    both = load_settings({"TAILRACE_FLUSH": "end", "DD_SERVERLESS_FLUSH_STRATEGY": "continuously,100"})
    assert (both.flush, both.source_of("flush")) == (FlushStrategy("end"), "environment variable TAILRACE_FLUSH")
    theirs = load_settings({"DD_SERVERLESS_FLUSH_STRATEGY": "continuously,100"})
    assert theirs.flush == FlushStrategy("continuous", 100)
    assert theirs.source_of("flush") == "environment variable DD_SERVERLESS_FLUSH_STRATEGY"
    assert load_settings({"TAILRACE_FLUSH": " "}).source_of("flush") == "default"


def test_a_bad_value_is_a_problem_of_its_variable_and_the_default_holds() -> None:
    settings = load_settings({"DD_SERVERLESS_FLUSH_STRATEGY": "perhaps"})
    assert settings.flush == FlushStrategy("adaptive")
    (problem,) = settings.problems
    assert problem.setting == "DD_SERVERLESS_FLUSH_STRATEGY"
