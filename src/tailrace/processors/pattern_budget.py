"""How long patterns may compute: for one text, and for all texts of one telemetry post together."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_S = 0.1
"""What one text may cost one pattern."""
BODY_S = 0.5
"""What all texts of one telemetry post may cost all patterns that share a budget."""


class Budget:
    """Computing time of this thread, so that what is given up does not depend on what else the machine does."""

    __slots__ = ("_left_s", "now_s")

    def __init__(self, now_s: Callable[[], float] = time.thread_time) -> None:
        self.now_s = now_s
        self._left_s = BODY_S

    def begin_body(self) -> None:
        self._left_s = BODY_S

    @property
    def for_text_s(self) -> float:
        """What the next text may cost; nothing once the post's share is spent."""
        return min(TEXT_S, self._left_s)

    def spend(self, since_s: float) -> None:
        self._left_s = max(0.0, self._left_s - (self.now_s() - since_s))
