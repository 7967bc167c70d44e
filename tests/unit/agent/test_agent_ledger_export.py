"""The ledger for machines: metrics and a final record."""

from __future__ import annotations

import json
from typing import Any

from support.pipeline_fakes import RESOURCE, FakeDestination, FakeTransport, Told
from tailrace.agent.ledger_export import INTERVAL_S, LedgerExport
from tailrace.clock import ManualClock
from tailrace.model.record import Record
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.routing import Route
from tailrace.pipeline.sending.exporter import Exporter
from tailrace.pipeline.spooling.carried_row import CarriedRow
from tailrace.pipeline.surroundings import Surroundings
from tailrace.processors.own_lines import is_own_line


class Desk:
    """An export of `words` for a ledger with one row, ``https://one``."""

    def __init__(self, *words: str, former: CarriedRow | None = None, routes: tuple[Route, ...] = ()) -> None:
        self.clock = ManualClock()
        self.ledger = Ledger()
        self.row = self.ledger.open_row("https://one")
        if former is not None:
            self.row.carry_over(former)
        transport, said = FakeTransport(), Told()
        self.exporter = Exporter(
            FakeDestination(), transport, self.row, Surroundings(RESOURCE, self.clock, lambda: 0.5, said)
        )
        self.fanout = Fanout([self.exporter], self.ledger, self.clock, routes=routes)
        self.written: list[bytes] = []
        self.export = LedgerExport(words, self.ledger, self.fanout, RESOURCE, self.clock, self.written.append)

    def metrics(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written]


def test_metrics_are_counts_since_the_line_before() -> None:
    desk = Desk("metrics")
    desk.row.receive(10)
    desk.row.deliver(6, [(100, 6)])
    desk.row.drop(1, "queue_full")
    desk.export.write_metrics()
    desk.row.receive(5)
    desk.row.deliver(8)
    desk.export.write_metrics()

    first, second = desk.metrics()
    assert (first["received"], first["delivered"], first["dropped"], first["held"]) == (10, 6, 1, 3)
    assert (second["received"], second["delivered"], second["dropped"], second["held"]) == (5, 8, 0, 0)
    assert first["droppedBecause"] == {"queue_full": 1}
    assert (first["functionName"], first["destination"]) == ("billing", "https://one")


def test_every_metric_that_the_directive_names_is_there_as_a_number() -> None:
    desk = Desk("metrics")
    desk.row.receive(2)
    desk.row.deliver(2, [(100, 2)])
    desk.export.write_metrics()

    (line,) = desk.metrics()
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Tailrace"
    assert [type(line[metric["Name"]]) for metric in directive["Metrics"]] == [int] * len(directive["Metrics"])
    assert all(isinstance(line[name], str) for name in directive["Dimensions"][0])
    assert isinstance(line["_aws"]["Timestamp"], int)


def test_a_row_without_news_is_left_out_and_what_a_former_process_told_is_not_told_again() -> None:
    former = CarriedRow()
    former.received = former.delivered = 500
    desk = Desk("metrics", former=former)
    desk.export.write_metrics()
    assert desk.written == []

    desk.row.receive(1)
    desk.export.write_metrics()
    assert [line["received"] for line in desk.metrics()] == [1]


def test_metrics_come_with_an_event_once_a_minute() -> None:
    desk = Desk("metrics")
    desk.row.receive(1)
    desk.export.event_came()
    assert desk.written == []

    desk.clock.advance(INTERVAL_S)
    desk.export.event_came()
    desk.row.receive(1)
    desk.export.event_came()
    assert len(desk.written) == 1


def test_metrics_are_known_as_lines_of_our_own() -> None:
    desk = Desk("metrics")
    desk.row.receive(1)
    desk.export.write_metrics()

    text = desk.written[0].decode().rstrip("\n")
    event = {"time": "", "type": "extension", "record": text}
    assert is_own_line(Record(1, "", "extension", event, None))
    assert is_own_line(Record(1, "", "extension", {**event, "record": json.loads(text)}, None))


def test_the_record_tells_how_things_stood_before_it_and_is_counted_itself() -> None:
    desk = Desk("record")
    desk.row.receive(3)
    desk.row.filter(3)
    desk.export.offer_record()

    row = desk.row.snapshot()
    assert (row.received, row.held, row.base) == (4, 1, 1)  # the last one: not from the platform
    assert desk.fanout.received == 0
    assert desk.exporter.held == 1
    assert desk.written == []


def test_filters_do_not_keep_the_record_back() -> None:
    desk = Desk("record", routes=(Route(takes=lambda record: False),))
    desk.export.offer_record()
    assert desk.row.snapshot().held == 1


def test_nothing_is_told_in_a_form_that_was_not_asked_for() -> None:
    desk = Desk("record")
    desk.row.receive(1)
    desk.export.write_metrics()
    assert desk.written == []

    other = Desk("metrics")
    other.export.offer_record()
    assert other.row.snapshot().received == 0
