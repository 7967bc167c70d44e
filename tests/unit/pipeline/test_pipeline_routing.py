"""Filters of single destinations, and destinations that stand in for others: the ledger's sum holds all the while."""

from __future__ import annotations

from support.pipeline_fakes import FakeDestination, FakeTransport, Rig, record
from tailrace.clock import ManualClock
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.routing import Route
from tailrace.pipeline.sending.exporter import Exporter


class Row:
    """Several destinations in a row, and the fanout before them."""

    def __init__(self, routes: list[Route], first: type[Exporter] = Exporter) -> None:
        self.clock, self.ledger = ManualClock(), Ledger()
        self.rigs = [
            Rig(
                FakeDestination(f"fake://{n}"),
                FakeTransport(),
                self.ledger,
                self.clock,
                kind=Exporter if n else first,
            )
            for n, _ in enumerate(routes)
        ]
        self.fanout = Fanout([rig.exporter for rig in self.rigs], self.ledger, self.clock, routes=routes)
        self._seq = 0

    def offer(self, n: int = 1) -> None:
        self.fanout.offer([record(self._seq + place) for place in range(1, n + 1)])
        self._seq += n

    def taken(self) -> list[int]:
        """How many records each destination took."""
        counts = [rig.counts() for rig in self.rigs]
        assert {row.received for row in counts} == {self._seq}
        return [row.received - row.filtered for row in counts]


def test_each_destination_takes_what_its_filter_takes_and_books_the_rest() -> None:
    row = Row([Route(lambda r: r.seq % 2 == 0), Route(), Route(lambda r: False)])
    row.offer(5)
    row.offer(1)
    assert row.taken() == [3, 6, 0]
    assert [rig.counts().filtered for rig in row.rigs] == [3, 0, 6]
    assert [rig.exporter.held for rig in row.rigs] == [3, 6, 0]


def test_without_routes_everybody_takes_everything() -> None:
    row = Row([Route(), Route()])
    row.offer(3)
    assert row.taken() == [3, 3]


def down(row: Row, place: int) -> None:
    assert not row.rigs[place].exporter.wait_drained(row.clock.monotonic_s())
    assert not row.rigs[place].exporter.is_up


def test_a_stand_in_takes_records_only_while_the_first_one_is_down() -> None:
    row = Row([Route(), Route(instead_of=0), Route()])
    row.offer(2)
    assert row.taken() == [2, 0, 2]
    down(row, 0)
    row.offer(3)
    assert row.taken() == [2, 3, 5]
    assert row.rigs[0].exporter.held == 2  # with these it is tried again


def test_the_next_in_the_row_takes_over_from_the_stand_in_and_the_first_where_all_are_out() -> None:
    row = Row([Route(instead_of=1), Route(instead_of=2), Route()])
    row.offer()
    down(row, 2)
    row.offer()
    down(row, 1)
    row.offer()
    assert row.taken() == [1, 1, 1]
    down(row, 0)
    row.offer()
    assert row.taken() == [1, 1, 2]


def test_a_destination_that_is_down_and_holds_nothing_gets_something_to_be_tried_with() -> None:
    class Down(Exporter):
        """What it held was given up."""

        __slots__ = ()

        @property
        def is_up(self) -> bool:
            return False

    row = Row([Route(), Route(instead_of=0)], first=Down)
    row.offer()
    assert row.taken() == [1, 0]
    row.offer()
    assert row.taken() == [1, 1]


def test_a_stand_in_has_its_own_filter() -> None:
    row = Row([Route(), Route(lambda r: r.seq > 2, instead_of=0)])
    row.offer()
    down(row, 0)
    row.offer(2)
    assert row.taken() == [1, 1]


def test_several_may_stand_in_for_one() -> None:
    row = Row([Route(), Route(instead_of=0), Route(instead_of=0)])
    row.offer()
    down(row, 0)
    row.offer()
    assert row.taken() == [1, 1, 1]
