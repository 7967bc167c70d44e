"""What `tailrace replay` says while it works and in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailrace.cli.replay_progress import Progress, described
from tailrace.cli.replay_report import Report
from tailrace.replay.replay import CONFIRMED, DELIVERED, REFUSED, Figures


def figures_after(**given: int) -> Figures:
    figures = Figures(envelopes=20, selected=11, records=33, planned_files=10, finished_files=4, files=5)
    for name, value in given.items():
        setattr(figures, name, value)
    return figures


def test_progress_says_what_became_of_envelopes_how_fast_and_what_is_left() -> None:
    figures = figures_after(copies=2, left_out=1)
    figures.by_status = {CONFIRMED: 7, DELIVERED: 3, REFUSED: 1}
    words = "7 confirmed before, 3 sent, 1 refused"
    assert described(figures, True, 2.0) == f"{words}, 6/s, file 5 of 10, 6 of it left"
    assert described(figures, True, 0.5) == f"{words}, file 5 of 10, 6 of it left"
    assert described(figures, False, 2.0) == "11 read, 6/s, file 5 of 10, 6 of it left"
    assert described(Figures(planned_files=1, finished_files=1), True, 0.0) == "0 sent, file 1 of 1"


def test_an_attempt_that_failed_is_told_where_no_bar_is(capsys: pytest.CaptureFixture[str]) -> None:
    Progress(sends=True).tell("it failed (attempt 1 of 5), the next in 0.5 s")
    assert capsys.readouterr().err == "tailrace: it failed (attempt 1 of 5), the next in 0.5 s\n"


def test_interrupted_it_says_what_is_not_done(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("file:///dead", Path("state"), sends=True, targets=None)
    report.show([], figures_after(copies=2, left_out=1), is_interrupted=True)
    assert capsys.readouterr().out.splitlines()[:4] == [
        "11 of 20 envelopes, 33 records, in 5 files",
        "  2 the same as others, dealt with once",
        "  1 left out by the options",
        "  interrupted: 6 of 10 files not done, 6 envelopes of them read already",
    ]
    report.show([], Figures(), is_interrupted=True)
    assert "interrupted before all files were found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sends", "again", "words"),
    [(True, False, "goes on from there"), (True, True, "begins from the start"), (False, False, "interrupted")],
)
def test_the_farewell_is_true(sends: bool, again: bool, words: str) -> None:
    assert Report("x", Path("state"), sends, None, again=again).farewell.endswith(words)
