"""The last flush of all destinations: which of them gets how much of the time that is left.

Where there are dead letters they need some of it. A destination that takes records gets most of it first. For one that
is known to be down it is the other way round: trying it once more is worth little, and what it leaves must be
read and written.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.clock import Clock
    from tailrace.pipeline.dead_letters.writer import DeadLetters
    from tailrace.pipeline.sending.exporter import Exporter


def close_all(
    exporters: Sequence[Exporter], dead_letters: DeadLetters | None, clock: Clock, deadline_s: float, keep: bool
) -> None:
    """Returns at `deadline_s` (monotonic) at the latest. After it no row holds anything, or, with `keep`, nothing that
    is not on disk."""
    if dead_letters is None:
        _close(exporters, deadline_s, keep)
        return
    left_s = deadline_s - clock.monotonic_s()
    until_s = deadline_s - dead_letters.reserve_s(left_s)
    # What stays on disk for another process asks nothing of the dead letters.
    early_s = until_s if keep else deadline_s - dead_letters.reserve_s(left_s, is_up=False)
    dead_letters.begin_close(deadline_s)
    down = [exporter for exporter in exporters if not exporter.is_up]
    up = [exporter for exporter in exporters if exporter not in down]
    for exporter in exporters:
        exporter.begin_close(early_s if exporter in down else until_s, keep)
    for exporter in down:
        if exporter.wait_left(early_s) or not exporter.is_up:
            exporter.finish_close(early_s)
            dead_letters.stream(exporter.remains)
        else:
            exporter.begin_close(until_s, keep)  # it answers again
            up.append(exporter)
    for exporter in up:
        exporter.finish_close(until_s)
        dead_letters.stream(exporter.remains)
    dead_letters.close(deadline_s)


def _close(exporters: Sequence[Exporter], deadline_s: float, keep: bool) -> None:
    for exporter in exporters:
        exporter.begin_close(deadline_s, keep)
    for exporter in exporters:
        exporter.finish_close(deadline_s)
