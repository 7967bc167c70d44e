"""Whatever is mistyped in a URL, no secret of it is told anywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.cli import config as config_command
from tailrace.cli import explain as explain_command
from tailrace.cli.agent_view import AgentView
from tailrace.cli.explaining import Explainer, Explanation
from tailrace.clock import SystemClock
from tailrace.config.urls import encode

EVENT = b'[{"time":"2026-11-20T21:30:00.123Z","type":"function","record":"x"}]'
SECRET = "S3CR3T"
STARTS = ("", ":", "/", "//", "///", "\\\\", ":/", "://", ":///", ":////", ":\\\\", "//:", ":/\\")
SCHEMES = ("http", "https", "s3", "stdout", "htps", "s4", "")
around = st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"], exclude_characters="#"), max_size=8)
escaped = around.map(lambda text: encode(text, ""))


def all_that_is_told(url: str) -> str:
    """By the agent's log lines, its ledger, both commands, and reprs. Bodies and what is sent are not told."""
    view = AgentView(None, {"TAILRACE_DESTINATIONS": url}, {})
    explained = Explainer(view, SystemClock())
    found = explained.explain(EVENT) if not view.built.destinations else Explanation()
    told = [str(problem) + repr(problem) for problem in view.problems]
    told += map(str, found.said)
    told += [json.dumps(found.ledger), json.dumps(config_command.document(view)), *config_command.lines(view)]
    told += [json.dumps(explain_command.document(view, found)), *explain_command.lines(view, found)]
    told += [repr(spec) + repr(spec.url) + spec.name for spec in view.built.specs]
    told += map(repr, view.built.destinations)
    return "\n".join(told)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SCHEMES), st.sampled_from(STARTS), around, around)
def test_what_stands_before_an_at_is_never_told_whatever_is_mistyped(
    scheme: str, start: str, before: str, behind: str
) -> None:
    assert SECRET not in all_that_is_told(f"{scheme}{start}joe:{before}{SECRET}{behind}@h.example/in")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SCHEMES), st.sampled_from(("key", "region", "token", "tailrace-format", "compress")), escaped)
def test_a_value_of_a_query_is_never_told(scheme: str, key: str, value: str) -> None:
    assert SECRET not in all_that_is_told(f"{scheme}://bucket/x?{key}={value}{SECRET}{value}&unknown=1&path-style=auto")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(("http", "https", "htps")), st.sampled_from((":/", ":///", "://h/", ":")), escaped)
def test_a_token_in_a_path_is_never_told(scheme: str, start: str, value: str) -> None:
    assert SECRET not in all_that_is_told(f"{scheme}{start}{value}{SECRET}a1b2c3d4e5f6a1b2c3d4e5f6/in")


@pytest.mark.parametrize(
    "url",
    [
        "http:/joe:S3CR3T@host/in",
        "https:joe:S3CR3T@h",
        "https:///joe:S3CR3T@h",
        "https:\\\\joe:S3CR3T@h",
        "s3:/KEY:S3CR3T@b",
        "stdout:S3CR3T",
        "s3://b/x?token=x&region=S3CR3T",
        "https://h/x?user=S3CR3T@h",
    ],
)
def test_slips_that_people_make_tell_nothing(url: str) -> None:
    told = all_that_is_told(url)
    assert SECRET not in told
    assert "TAILRACE_DESTINATIONS, first entry" in told


def test_where_dead_letters_go_is_told_without_secrets() -> None:
    for url in ("s3:/KEY:S3CR3T@b", "https:joe:S3CR3T@h", "s3://bucket?region=S3CR3T", "file:joe:S3CR3T@h"):
        view = AgentView(None, {"TAILRACE_DEAD_LETTER": url}, {})
        told = [*map(str, view.problems), *config_command.lines(view)]
        assert SECRET not in "".join(told)
        assert view.problems
