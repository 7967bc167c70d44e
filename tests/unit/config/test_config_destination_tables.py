"""Destinations of a file among the others, and who stands in for whom."""

from __future__ import annotations

from tailrace.config.destinations import Destinations, load_destinations
from tailrace.config.headers import HttpHeaders
from tailrace.config.settings import load_settings
from tailrace.config.tables import DestinationTable
from tailrace.destinations.registry import SCHEMES, build_destinations


def table(place: str, url: str, label: str | None = None, failover_for: str | None = None) -> DestinationTable:
    made = DestinationTable(place, url)
    made.label = label
    made.failover_for = failover_for
    return made


def load(*tables: DestinationTable, **environ: str) -> Destinations:
    return load_destinations(environ, SCHEMES, tables)


def names(found: Destinations) -> list[str]:
    return [spec.name for spec in found.specs]


def test_the_files_destinations_come_between_the_two_variables() -> None:
    own = table("f: destinations, first entry", "file:///own")
    assert names(load(own, S3_BUCKET_NAME="logs")) == ["file:///own"]
    assert names(load(own, TAILRACE_DESTINATIONS="file:///env")) == ["file:///env"]
    assert names(load(S3_BUCKET_NAME="logs")) == ["s3://logs"]
    assert load(own).specs[0].table is own


def test_a_bad_url_in_the_file_is_named_with_its_place_and_costs_itself() -> None:
    found = load(table("f: destinations, first entry", "fil:///a"), table("second", "file:///b"))
    assert names(found) == ["file:///b"]
    assert [problem.setting for problem in found.problems] == ["f: destinations, first entry"]


def test_stand_ins_are_found_by_name_in_any_order() -> None:
    found = load(
        table("1", "file:///third", None, "second"),
        table("2", "file:///second", "second", "first"),
        table("3", "file:///first", "first"),
    )
    third, second, first = found.specs
    assert (third.instead_of, second.instead_of, first.instead_of) == (second, first, None)
    assert found.faults == []


def test_a_stand_in_for_nobody_or_in_a_circle_is_a_fault_and_gets_every_record() -> None:
    found = load(
        table("1", "file:///a", "a", "b"),
        table("2", "file:///b", "b", "a"),
        table("3", "file:///c", "c", "c"),
        table("4", "file:///d", None, "nobody"),
        table("5", "file:///e", "a"),
    )
    assert len(found.specs) == 5
    assert [str(fault) for fault in found.faults] == [
        "2, failover_for: it stands in for itself; the first of a row stands in for nobody",
        "3, failover_for: it stands in for itself; the first of a row stands in for nobody",
        '4, failover_for: no usable destination is called "nobody"; known: a, b, c',
        '5, name: "a" is taken; each has its own name',
    ]


def test_a_stand_in_for_a_destination_that_cannot_be_used_gets_every_record() -> None:
    found = load(table("1", "fil:///a", "a"), table("2", "file:///b", None, "a"))
    assert found.specs[0].instead_of is None
    assert [fault.found for fault in found.faults] == ['no usable destination is called "a"']


def test_headers_of_a_destination_join_the_general_ones_and_win() -> None:
    general = HttpHeaders((("A", "1"), ("B", "2")))
    assert general.with_others(HttpHeaders((("b", "3"), ("C", "4")))).pairs == (("A", "1"), ("b", "3"), ("C", "4"))


def test_stdout_is_judged_by_its_own_types() -> None:
    settings = load_settings({"TAILRACE_TYPES": "extension"})
    own = DestinationTable("here", "stdout:")
    settings.destination_tables = [own]
    assert build_destinations({}, settings).problems
    from tailrace.config.tables import RecordFilter

    own.filter = RecordFilter("here", types=("function",))
    assert build_destinations({}, settings).problems == []
