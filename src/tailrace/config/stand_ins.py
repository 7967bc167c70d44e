"""What a file's tables say about each other, and what does not fit the destination. Loaded only where there are any."""

from __future__ import annotations

from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tailrace.config.destinations import DestinationSpec, Scheme
    from tailrace.config.tables import DestinationTable


def connect(specs: list[DestinationSpec], tables: Sequence[DestinationTable], faults: list[ConfigError]) -> None:
    """Find whom each stands in for. A name that leads nowhere, or in a circle, is a fault: the destination then gets
    every record."""
    labels: dict[str, DestinationSpec] = {}
    made = {spec.table: spec for spec in specs if spec.table is not None}
    for spec in specs:
        if spec.table is not None and spec.table.label is not None:
            labels.setdefault(spec.table.label, spec)
    for table in tables:
        if table.failover_for is None:
            continue
        first, own = labels.get(table.failover_for), made.get(table)
        place = f"{table.place}, failover_for"
        if first is None and table.label != table.failover_for:
            known = f"known: {', '.join(sorted(labels))}" if labels else "no usable destination has a name"
            faults.append(ConfigError(place, f'no usable destination is called "{table.failover_for}"', known))
        elif first is None or (own is not None and _leads_to(first, own)):
            faults.append(ConfigError(place, "it stands in for itself", "the first of a row stands in for nobody"))
        elif own is not None:
            own.instead_of = first
    _refuse_twins(tables, faults)


def refuse_headers(
    tables: Sequence[DestinationTable], schemes: Mapping[str, Scheme], faults: list[ConfigError]
) -> None:
    """Headers of destinations that have none, whether these can be used or not."""
    for table in tables:
        scheme = schemes.get(table.url.partition(":")[0].lower())
        if table.headers.pairs and scheme is not None and not scheme.takes_headers:
            found = f"a destination of {scheme.name} has no headers"
            faults.append(ConfigError(f"{table.place}, headers", found, "they are for http and https"))


def _leads_to(spec: DestinationSpec, end: DestinationSpec) -> bool:
    current: DestinationSpec | None = spec
    while current is not None:
        if current is end:
            return True
        current = current.instead_of
    return False


def _refuse_twins(tables: Sequence[DestinationTable], faults: list[ConfigError]) -> None:
    seen: set[str] = set()
    for table in tables:
        if table.label in seen:
            faults.append(ConfigError(f"{table.place}, name", f'"{table.label}" is taken', "each has its own name"))
        if table.label is not None:
            seen.add(table.label)
