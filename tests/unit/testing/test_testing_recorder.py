from __future__ import annotations

from tailrace.emulator.machine.effects import WriteLog
from tailrace.testing.recorder import Recorder


def test_of_a_hundred_megabytes_of_lines_the_newest_are_kept_and_the_others_counted() -> None:
    recorder = Recorder()
    for n in range(100):
        recorder.log_written(WriteLog("function", f"{n:03}" + "x" * 1_000_000, None))
    assert sum(map(len, recorder.lines)) <= 32 * 1_048_576
    assert [int(line[:3]) for line in recorder.lines] == list(range(recorder.n_lines_left_out, 100))
