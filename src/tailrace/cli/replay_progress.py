"""What a person sees while `tailrace replay` works: a bar, counts, and every attempt that failed."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

import rich.progress
from rich.text import Text

from tailrace.cli.replay_report import SHORT_WORDS, printable
from tailrace.cli.screen import new_console
from tailrace.replay.replay import Figures


class Progress:
    """A bar on standard error where a person looks, by the bytes of the files."""

    def __init__(self, sends: bool) -> None:
        console = new_console(stderr=True)
        self._sends = sends
        self._figures = Figures()
        self._begun_s = 0.0
        self._progress = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("looking for dead letters", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._progress.stop()

    def begin(self, figures: Figures, n_bytes: int) -> None:
        """`figures` are looked at from now on; there are `n_bytes` of files."""
        self._figures = figures
        self._begun_s = time.monotonic()
        self._progress.update(self._task, total=n_bytes)

    def advance(self, n_bytes: int) -> None:
        words = described(self._figures, self._sends, time.monotonic() - self._begun_s)
        self._progress.update(self._task, advance=n_bytes, description=words)

    def tell(self, sentence: str) -> None:
        """Above the bar, or on its own where there is none."""
        self._progress.console.print(Text(f"tailrace: {printable(sentence)}"), soft_wrap=True)


def described(figures: Figures, sends: bool, elapsed_s: float) -> str:
    """``784 sent, 3 refused, 120/s, file 5 of 10, 16 envelopes of it left``."""
    counts = [f"{n} {SHORT_WORDS[status]}" for status, n in figures.by_status.items() if n] if sends else []
    words = counts or [f"{figures.selected} {'sent' if sends else 'read'}"]
    if elapsed_s > 1:
        words.append(f"{figures.selected / elapsed_s:.0f}/s")
    words.append(f"file {min(figures.finished_files + 1, figures.planned_files)} of {figures.planned_files}")
    if figures.waiting:
        words.append(f"{figures.waiting} of it left")
    return ", ".join(words)
