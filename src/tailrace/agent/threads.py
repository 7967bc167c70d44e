"""Threads that cannot die unseen."""

from __future__ import annotations

import _thread
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.pipeline.interfaces import Diagnostics

# Between two lives of a thread: a fault that comes back at once must not become a busy loop.
PAUSE_S = 0.1


class Threads:
    """Starts threads whose exceptions become one line of ours, without a traceback: that could hold secrets."""

    __slots__ = ("_diagnostics",)

    def __init__(self, diagnostics: Diagnostics) -> None:
        self._diagnostics = diagnostics

    def spawn(self, run: Callable[[], None]) -> None:
        """Run `run` once."""
        _thread.start_new_thread(self._guarded, (run,))

    def keep_running(self, run: Callable[[], None]) -> None:
        """Run `run`, and again whenever it raises, until it returns."""
        _thread.start_new_thread(self._again_and_again, (run,))

    def _again_and_again(self, run: Callable[[], None]) -> None:
        while not self._guarded(run):
            time.sleep(PAUSE_S)

    def _guarded(self, run: Callable[[], None]) -> bool:
        """Whether `run` returned."""
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - fail open: no fault of ours may reach the function
            self._diagnostics("error", f"a thread of the agent failed ({type(error).__name__})")
            return False
        return True
