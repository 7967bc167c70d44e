"""Setting up the place for what cannot be delivered. Its code loads only where one is asked for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tailrace.config.settings import Settings
    from tailrace.pipeline.dead_letters.writer import DeadLetters
    from tailrace.pipeline.surroundings import Surroundings


# Letters come in bursts and nobody can be made to wait for them: a small queue is no measure for their memory.
LEAST_BOX_BYTES = 1_048_576


def open_dead_letters(
    environ: Mapping[str, str],
    settings: Settings,
    surroundings: Surroundings,
    note: Callable[[], None] | None = None,
) -> DeadLetters | None:
    """None where `TAILRACE_DEAD_LETTER` is not set, or cannot be used in any layer, which is said once. `note` is
    called when records have got their outcome."""
    if not settings.dead_letters:
        return None
    from tailrace.destinations.dead_letter import dead_letters_in_force
    from tailrace.pipeline.dead_letters.writer import DeadLetters
    from tailrace.pipeline.wire.transport import CompositeTransport

    choice = dead_letters_in_force(settings, environ)
    for problem in choice.problems:
        surroundings.diagnostics("error", str(problem))
    if choice.destination is None:
        return None
    transport = CompositeTransport(surroundings.clock, environ)
    max_bytes = max(settings.queue_max_bytes, LEAST_BOX_BYTES)
    return DeadLetters(choice.destination, transport, surroundings, max_bytes, note=note)
