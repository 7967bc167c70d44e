"""Standard output that takes lines in part: what is out does not come twice, and nothing is lost."""

from __future__ import annotations

import json
import os
import select
import threading
from typing import cast

from support.pipeline_fakes import LIMIT_S, RESOURCE, Told, record
from tailrace.clock import SystemClock
from tailrace.destinations.stdout import StdoutDestination
from tailrace.pipeline.interfaces import Transport
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.sending.exporter import Exporter
from tailrace.pipeline.sending.retry import Backoff
from tailrace.pipeline.sending.settings import SenderSettings
from tailrace.pipeline.surroundings import Surroundings
from tailrace.pipeline.wire.local_transport import StreamTransport

N = 20_000


def test_every_line_comes_once_through_a_pipe_that_is_full_again_and_again() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # whoever gave it to us may have done that
    row, clock, told = Ledger().open_row("stdout:"), SystemClock(), Told()
    settings = SenderSettings(queue_max_bytes=16_000_000, backoff=Backoff(0.001, 0.002))
    exporter = Exporter(
        StdoutDestination("stdout:"),
        cast(Transport, StreamTransport(writing)),
        row,
        Surroundings(RESOURCE, clock, lambda: 0.5, told),
        settings,
    )
    exporter.offer([record(seq, f'{{"record":"line {seq}"}}') for seq in range(1, N + 1)])
    thread = threading.Thread(target=exporter.run)
    thread.start()
    got = bytearray()
    # only as fast as it is read: the pipe holds a fraction of one batch
    while row.snapshot().held:
        exporter.request_flush()
        if select.select([reading], [], [], 0.05)[0]:
            got += os.read(reading, 30_000)
    exporter.close(clock.monotonic_s() + LIMIT_S)
    thread.join(LIMIT_S)
    os.close(writing)
    while more := os.read(reading, 1_000_000):
        got += more
    os.close(reading)

    counts = row.snapshot()
    assert (counts.delivered, counts.dropped, counts.resent_unconfirmed) == (N, {}, 0)
    assert [seq for line in bytes(got).splitlines() if (seq := seq_of(line))] == list(range(1, N + 1))


def seq_of(line: bytes) -> int:
    """Zero for what is left of a line that did not fit."""
    try:
        return int(json.loads(line)["seq"])
    except ValueError:
        return 0
