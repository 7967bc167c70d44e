"""What batches are called: by their content, stable, and never alike for different content."""

from __future__ import annotations

import zlib

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tailrace.model.batch import Batch
from tailrace.pipeline.identity import batch_id, content_checksum

LINES = b"1\n2\n3\n"
START = "2026-11-20T21:00:00.000Z"
PARTS = st.lists(st.binary(max_size=40).filter(lambda part: b"\n" not in part), min_size=1, max_size=8)


@settings(deadline=None)
@given(PARTS, st.integers(1, 10**9))
def test_equal_batches_have_the_same_name_wherever_they_come_from(parts: list[bytes], first: int) -> None:
    one = Batch(list(parts), first, first + len(parts) - 1, START)
    other = Batch([bytes(bytearray(part)) for part in parts], first, first + len(parts) - 1, "another time")
    assert batch_id(one, "env") == batch_id(other, "env")
    assert batch_id(one, "env") != batch_id(one, "other")


@settings(deadline=None)
@given(PARTS, PARTS)
def test_other_records_of_the_same_numbers_have_another_name(parts: list[bytes], others: list[bytes]) -> None:
    assume(parts != others)
    assert content_checksum(parts) == zlib.crc32(b"".join(part + b"\n" for part in parts))
    if zlib.crc32(b"\n".join(parts) + b"\n") != zlib.crc32(b"\n".join(others) + b"\n"):
        assert batch_id(Batch(parts, 1, 9, START), "env") != batch_id(Batch(others, 1, 9, START), "env")


def test_what_is_left_of_a_batch_is_not_taken_for_the_whole_of_it() -> None:
    whole = Batch([b"1", b"2", b"3"], 1, 3, START)
    left = Batch([b"1", b"3"], 1, 3, START)
    assert batch_id(whole, "env") == "env-00000001-00000003-" + f"{zlib.crc32(LINES):08x}"
    assert batch_id(whole, "env") != batch_id(left, "env")


def test_the_environments_name_cannot_break_out_of_a_header() -> None:
    assert batch_id(Batch([b"1"], 1, 1, START), "a/b\r\nc").startswith("a_b__c-")
