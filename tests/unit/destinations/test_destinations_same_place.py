"""Two entries for one place would replace each other's objects, and both would count them as delivered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.destination_cases import ENVIRON
from tailrace.config.file import load_config_file
from tailrace.config.settings import load_settings
from tailrace.destinations.registry import Built, build_destinations
from tailrace.destinations.same_place import real_path


def built(*urls: str, **environ: str) -> Built:
    complete = {**ENVIRON, **environ, "TAILRACE_DESTINATIONS": " ".join(urls)}
    return build_destinations(complete, load_settings(complete))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("file:///x", "file:///x/"),
        ("file:///x", "file:////x/./y/.."),
        ("file:///x%20y", "file:///x y".replace(" ", "%20") + "/"),
        ("file:///x", "file:///x?compress=none"),
        ("s3://logs/app", "s3://logs/app/"),
        ("s3://logs/app", "s3://logs/%61pp?sse=AES256"),
        ("s3://logs/app", "s3://logs/app?region=eu-west-3"),
        ("s3://logs/app", "s3://logs/app?path-style=true"),
        ("s3://logs?endpoint=http://Store:9000", "s3://logs?endpoint=http://store:9000/&path-style=false"),
        ("stdout:", "stdout:/"),
    ],
)
def test_a_second_entry_for_a_place_is_refused_and_both_are_named(first: str, second: str) -> None:
    result = built(first, second)
    assert len(result.destinations) == len(result.specs) == 1
    (problem,) = result.problems
    assert problem.setting == "TAILRACE_DESTINATIONS, second entry"
    assert f'"{result.specs[0].name}" (TAILRACE_DESTINATIONS, first entry)' in problem.found
    assert "of its own" in problem.remedy


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("file:///x", "file:///x/y"),
        ("file:///x", "file:///x?compress=gzip"),
        ("s3://logs/app", "s3://logs/other"),
        ("s3://logs/app", "s3://other/app"),
        ("s3://logs/app", "s3://logs/app?endpoint=http://store:9000"),
        ("s3://logs?endpoint=http://store:9000", "s3://logs?endpoint=http://store:9001"),
        ("https://host/in", "https://host/in?tailrace-format=array"),
    ],
)
def test_places_of_their_own_stand_beside_each_other(first: str, second: str) -> None:
    result = built(first, second)
    assert result.problems == []
    assert len(result.destinations) == 2


def test_a_link_is_the_place_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (problem,) = built(f"file://{tmp_path}/real/logs", f"file://{tmp_path}/link/logs").problems
    assert "real/logs" in problem.found


def test_of_two_tables_of_a_file_for_one_place_the_second_is_refused_whatever_its_filter_says(
    tmp_path: Path,
) -> None:
    second = '[[destinations]]\nurl = "s3://logs/app/"\nfilter = { min_level = "error" }\n'
    text = f'[[destinations]]\nurl = "s3://logs/app"\n{second}'
    (tmp_path / "tailrace.toml").write_text(text)
    settings = load_settings({}, load_config_file(str(tmp_path / "tailrace.toml"), {}))
    result = build_destinations(ENVIRON, settings)
    assert [destination.name for destination in result.destinations] == ["s3://logs/app"]
    assert len(result.problems) == 1


@given(st.lists(st.sampled_from(["", ".", "..", "a", "b"]), max_size=6))
def test_without_links_a_path_is_what_the_standard_library_makes_of_it(segments: list[str]) -> None:
    path = "/no-such-folder/" + "/".join(segments)
    assert real_path(path) == "/" + os.path.normpath(path).lstrip("/")


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert real_path(f"{tmp_path}/a/x").startswith(f"{tmp_path.resolve()}/")
