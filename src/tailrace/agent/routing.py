"""From what the settings say about records to the parts that do it. What needs `re` is loaded only where it is used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.config.destinations import DestinationSpec
    from tailrace.config.settings import Settings
    from tailrace.errors import ConfigError
    from tailrace.pipeline.interfaces import Diagnostics
    from tailrace.pipeline.routing import Route
    from tailrace.processors.filters import DestinationFilter
    from tailrace.processors.mask import Masker


def masker_of(settings: Settings, diagnostics: Diagnostics) -> Masker | None:
    """What masks records, where anybody asked for it. What is wrong is said."""
    if not settings.mask_specs and not settings.masks_unknown:
        return None
    from tailrace.processors.mask import build_masker

    problems: list[ConfigError] = []
    masker = build_masker(settings.mask_specs, settings.masks_unknown, problems)
    for problem in problems:
        diagnostics("error", str(problem))
    if masker is not None and masker.withholds:
        diagnostics("error", "a mask cannot be used: what functions and extensions write is withheld")
    return masker


def filters_of(
    specs: Sequence[DestinationSpec], settings: Settings, problems: list[ConfigError]
) -> list[DestinationFilter | None]:
    """For each destination what it takes, None: everything that is taken at all."""
    default_types = settings.types if settings.all_types != settings.types else None
    wanted = [spec.table.filter if spec.table is not None else None for spec in specs]
    if default_types is None and not any(wanted):
        return [None] * len(specs)
    from tailrace.processors.filters import build_filter

    return [build_filter(asked, default_types, problems) for asked in wanted]


def check_unused_filters(specs: Sequence[DestinationSpec], settings: Settings, problems: list[ConfigError]) -> None:
    """What is wrong with the patterns of destinations that cannot be used for another reason: all is told at once."""
    used = [spec.table for spec in specs]
    for table in settings.destination_tables:
        if table.filter is not None and table not in used:
            from tailrace.processors.filters import build_filter

            build_filter(table.filter, None, problems)


def routes_of(specs: Sequence[DestinationSpec], settings: Settings, diagnostics: Diagnostics) -> list[Route]:
    """A route for each destination; none at all where each takes everything."""
    problems: list[ConfigError] = []
    filters = filters_of(specs, settings, problems)
    for problem in problems:
        diagnostics("error", f"{problem}; the destination works without it")
    unused: list[ConfigError] = []
    check_unused_filters(specs, settings, unused)
    for problem in unused:
        diagnostics("error", str(problem))
    if not any(filters) and not any(spec.instead_of for spec in specs):
        return []
    from tailrace.pipeline.routing import Route

    places = {spec: index for index, spec in enumerate(specs)}
    return [
        Route(
            takes,
            places.get(spec.instead_of) if spec.instead_of is not None else None,
            takes.begin_body if takes is not None else None,
        )
        for spec, takes in zip(specs, filters, strict=True)
    ]
