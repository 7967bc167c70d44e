"""The ledger's rows where there is no room for all of them. Loaded only then."""

from __future__ import annotations

from tailrace.pipeline.ledger import OTHER_REASONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def shortened(
    rows: Mapping[str, dict[str, object]], framed: Callable[[Mapping[str, dict[str, object]]], bytes], max_bytes: int
) -> bytes:
    """What `framed` makes of the rows, in `max_bytes` at most: without their reasons, and where that is not enough
    without the last rows. That a process has printed its figures stands there with any rows, or with none."""
    fewer = {name: _without_reasons(row) for name, row in rows.items()}
    while len(text := framed(fewer)) > max_bytes and fewer:
        fewer.popitem()
    return text


def _without_reasons(row: Mapping[str, object]) -> dict[str, object]:
    """The same sums under one word."""
    return {
        name: {OTHER_REASONS: sum(value.values())} if isinstance(value, dict) and value else value
        for name, value in row.items()
    }
