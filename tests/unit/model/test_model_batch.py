from __future__ import annotations

from tailrace.model.batch import Batch


def test_a_batch_knows_its_size_and_the_hour_it_belongs_to() -> None:
    batch = Batch([b"ab", b"cde"], 4, 9, "2026-11-20T21:04:05.678Z")
    assert (len(batch), batch.n_bytes, batch.hour) == (2, 5, "2026-11-20T21")
