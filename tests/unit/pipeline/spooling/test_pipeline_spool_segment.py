"""The spool's format under every cut and every flipped bit: never a wrong record, never an exception."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.pipeline.spooling.segment import (
    HEAD_BYTES,
    NOT_A_SEGMENT,
    OTHER_VERSION,
    SETTLED,
    STATE_AT,
    TORN,
    FoundBatch,
    Header,
    Row,
    encode_batch,
    encode_header,
    scan_batch,
    scan_segment,
)

SALT = 0xC0FFEE42
HEADER = Header("https://logs.example/in", "0123456789abcdef", 1_763_700_000_000, SALT)
ROWS: list[Row] = [
    (7, "2026-11-20T21:30:00.123Z", b'{"record":"one"}'),
    (8, "", b""),
    (11, "kein Zeitpunkt \u00e4", b"\xf5R\x52\x5a a record that looks like a frame"),
]
MORE: list[Row] = [(12, "2026-11-20T21:30:01.000Z", b"four"), (13, "2026-11-20T21:30:01.000Z", b"five")]


def segment(*batches: list[Row], unconfirmed: bool = False) -> tuple[bytes, list[list[int]]]:
    data = encode_header(HEADER)
    places = []
    for number, rows in enumerate(batches):
        frames, where = encode_batch(number, rows, f"start {number}", unconfirmed, SALT, len(data))
        places.append(where)
        data += frames
    return data, places


def rows_of(batches: list[FoundBatch]) -> list[Row]:
    return [row for batch in batches for _, row in sorted(batch.rows.items())]


def test_what_was_written_is_read() -> None:
    data, places = segment(ROWS, MORE, unconfirmed=True)

    scan = scan_segment(data)

    assert (scan.torn_bytes, scan.problem) == (0, "")
    assert scan.header is not None
    assert scan.header.destination == HEADER.destination
    assert (scan.header.environment, scan.header.created_ms) == (HEADER.environment, HEADER.created_ms)
    first, second = scan.batches
    assert (first.number, first.start, first.count, first.unconfirmed, first.missing) == (0, "start 0", 3, True, 0)
    assert list(first.where.values()) == places[0]
    assert list(first.rows.values()) == ROWS
    assert list(second.rows.values()) == MORE
    assert first.end == second.offset
    assert second.end == len(data)


def test_a_batch_is_read_alone_by_its_place() -> None:
    data, _ = segment(ROWS, MORE)
    second = scan_segment(data).batches[1]

    alone = scan_batch(data[second.offset : second.end], SALT, second.offset)

    assert rows_of(alone.batches) == MORE
    assert alone.batches[0].where == second.where
    assert scan_batch(data[second.offset : second.end], SALT, second.offset + 1).batches == []
    assert scan_batch(data[second.offset : second.end], SALT + 1, second.offset).batches == []


def test_a_settled_record_is_not_read_again_and_not_missed() -> None:
    data, places = segment(ROWS, MORE)
    marked = bytearray(data)
    marked[places[0][1] + STATE_AT] = SETTLED

    first, second = scan_segment(bytes(marked)).batches

    assert list(first.rows) == [0, 2]
    assert (first.missing, list(second.rows.values())) == (0, MORE)


def test_a_settled_batch_is_gone_as_a_whole() -> None:
    data, _ = segment(ROWS, MORE)
    marked = bytearray(data)
    marked[scan_segment(data).batches[0].offset + STATE_AT] = SETTLED

    scan = scan_segment(bytes(marked))

    assert rows_of(scan.batches) == MORE
    assert [batch.missing for batch in scan.batches] == [0, 0]
    assert scan.torn_bytes == 0


def test_cut_at_every_byte_the_records_before_the_cut_are_there_and_nothing_else() -> None:
    data, places = segment(ROWS, MORE)
    ends = [*places[0][1:], scan_segment(data).batches[0].end, places[1][1], len(data)]
    for length in range(len(data)):
        scan = scan_segment(data[:length])
        whole = sum(end <= length for end in ends)
        assert rows_of(scan.batches) == [*ROWS, *MORE][:whole]
        found = sum(len(batch.rows) + batch.missing for batch in scan.batches)
        begun = [batch.count for batch in scan.batches if batch.count is not None]
        assert found == sum(begun)


def test_with_every_single_bit_flipped_no_record_is_wrong_and_one_at_most_is_lost() -> None:
    data, _ = segment(ROWS, MORE)
    header_bytes = len(encode_header(HEADER))
    written = [*ROWS, *MORE]
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            scan = scan_segment(bytes(damaged))
            found = rows_of(scan.batches)
            assert all(row in written for row in found)
            assert found == [row for row in written if row in found]
            if at < header_bytes:
                assert (found, scan.header, scan.problem != "") == ([], None, True)
            else:
                assert len(found) >= len(written) - 1
                assert len(found) == len(written) or scan.problem == TORN


@given(st.binary(max_size=400))
def test_any_bytes_are_scanned(data: bytes) -> None:
    assert scan_segment(data).header is None
    assert rows_of(scan_batch(data, SALT, 0).batches) == []


@given(
    st.lists(st.tuples(st.integers(0, 2**63), st.text(max_size=60), st.binary(max_size=80)), min_size=1, max_size=6),
    st.integers(0, 10_000),
    st.binary(max_size=40),
    st.data(),
)
@settings(max_examples=200)
def test_garbage_in_the_middle_costs_what_it_covers(
    rows: list[Row], offset: int, garbage: bytes, draw: st.DataObject
) -> None:
    frames, where = encode_batch(3, rows, "", False, SALT, offset)
    at = draw.draw(st.integers(0, len(frames)))
    damaged = frames[:at] + garbage + frames[at + len(garbage) :]
    expected = [
        row
        for row, begin, end in zip(rows, where, [*where[1:], offset + len(frames)], strict=True)
        if damaged[begin - offset : end - offset] == frames[begin - offset : end - offset]
    ]

    found = rows_of(scan_batch(damaged, SALT, offset).batches)

    stored = [(seq, time if len(time.encode("utf-8", "replace")) <= 255 else "", data) for seq, time, data in rows]
    assert all(row in stored for row in found)
    assert len(found) >= len(expected)


def test_a_record_that_holds_a_whole_segment_never_becomes_records() -> None:
    """Whoever can make a function log something must not be able to make records of it."""
    inner, _ = segment(MORE)
    data, places = segment([(1, "", inner)])
    damaged = bytearray(data)
    damaged[places[0][0] + HEAD_BYTES] ^= 1

    assert rows_of(scan_segment(bytes(damaged)).batches) == []


def test_files_of_another_version_and_of_others_are_told_apart() -> None:
    data, _ = segment(ROWS)
    assert scan_segment(b"TRSP\x00\x02" + data[6:]).problem == OTHER_VERSION
    assert scan_segment(b"TRSP\x00\x00" + data[6:]).problem == OTHER_VERSION
    assert scan_segment(b"PK\x03\x04" + data).problem == NOT_A_SEGMENT
    assert scan_segment(b"").problem == NOT_A_SEGMENT
    assert scan_segment(data[:20]).problem == TORN
