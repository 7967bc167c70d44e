"""Which destination takes which records, where not each takes all of them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tailrace.model.record import Record
    from tailrace.pipeline.sending.exporter import Exporter


class Route:
    """What one destination takes: everything, or what `takes` says yes to. With `instead_of` (the place of another in
    the row of destinations) only while that one cannot. `begin_body` is called before the records of each post."""

    __slots__ = ("begin_body", "instead_of", "takes")

    def __init__(
        self,
        takes: Callable[[Record], bool] | None = None,
        instead_of: int | None = None,
        begin_body: Callable[[], None] | None = None,
    ) -> None:
        self.begin_body = begin_body
        self.takes = takes
        self.instead_of = instead_of


class Routing:
    """Decides for each group of records anew.

    A destination is out while it is down and holds something: with what it holds it is tried again, so it comes back
    by itself. What came before it went down stays with it. When all of a row are out, the first one takes the records.
    """

    __slots__ = ("_begin", "_children", "_exporters", "_roots", "_takes")

    def __init__(self, exporters: Sequence[Exporter], routes: Sequence[Route]) -> None:
        self._exporters = list(exporters)
        self._begin = [route.begin_body for route in routes if route.begin_body is not None]
        self._takes = {e: route.takes for e, route in zip(exporters, routes, strict=True) if route.takes is not None}
        self._roots: dict[Exporter, Exporter] = {}
        self._children: dict[Exporter, list[Exporter]] = {}
        parents = {
            e: exporters[r.instead_of] for e, r in zip(exporters, routes, strict=True) if r.instead_of is not None
        }
        for exporter, parent in parents.items():
            self._children.setdefault(parent, []).append(exporter)
            root = parent
            while root in parents:
                root = parents[root]
            self._roots[exporter] = self._roots[root] = root

    def begin_body(self) -> None:
        """The records of another telemetry post come."""
        for begin in self._begin:
            begin()

    def divided(self, records: Sequence[Record]) -> list[Sequence[Record]]:
        """What of `records` is for each of the exporters, as things stand at this moment."""
        on_duty = {root: self._on_duty(root) for root in set(self._roots.values())}
        return [self._part(exporter, records, on_duty) for exporter in self._exporters]

    def on_duty(self) -> list[Exporter]:
        """Those that take records at this moment, whatever their filters say."""
        on_duty = {root: self._on_duty(root) for root in set(self._roots.values())}
        return [e for e in self._exporters if e not in self._roots or e in on_duty[self._roots[e]]]

    def _part(
        self, exporter: Exporter, records: Sequence[Record], on_duty: dict[Exporter, list[Exporter]]
    ) -> Sequence[Record]:
        root = self._roots.get(exporter)
        if root is not None and exporter not in on_duty[root]:
            return []
        takes = self._takes.get(exporter)
        return records if takes is None else [record for record in records if takes(record)]

    def _on_duty(self, root: Exporter) -> list[Exporter]:
        """Of a row that begins with `root`: the first that is not out, or those, where several stand in for one."""
        rank = [root]
        while rank:
            able = [exporter for exporter in rank if not _is_out(exporter)]
            if able:
                return able
            rank = [child for exporter in rank for child in self._children.get(exporter, [])]
        return [root]


def _is_out(exporter: Exporter) -> bool:
    return not exporter.is_up and exporter.held > 0
