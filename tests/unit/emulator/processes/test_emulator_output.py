from __future__ import annotations

import itertools
import os

from hypothesis import given
from hypothesis import strategies as st

from tailrace.emulator.processes.output import LineAssembler, OutputPipe


def lines_of(chunks: list[bytes], max_bytes: int = 1 << 20) -> list[str]:
    assembler = LineAssembler(max_bytes)
    lines = [line for chunk in chunks for line in assembler.feed(chunk)]
    return lines + assembler.finish()


def test_a_line_ends_with_its_line_feed_only() -> None:
    assert lines_of([b"one\rstill one\ntwo\n"]) == ["one\rstill one", "two"]


def test_empty_lines_are_lines() -> None:
    assert lines_of([b"\n\na\n"]) == ["", "", "a"]


def test_an_unterminated_last_line_comes_at_the_end() -> None:
    assembler = LineAssembler()
    assert assembler.feed(b"whole\nhal") == ["whole"]
    assert assembler.feed(b"f") == []
    assert assembler.finish() == ["half"]
    assert assembler.finish() == []


def test_invalid_utf8_is_replaced_and_split_characters_are_not() -> None:
    snowman = "☃".encode()
    assert lines_of([b"a\xff" + snowman[:1], snowman[1:] + b"\n"]) == ["a\ufffd☃"]


def test_a_line_too_long_is_cut_and_nothing_of_it_is_lost() -> None:
    assert lines_of([b"abcdefghij\nk\n"], max_bytes=4) == ["abcd", "efgh", "ij", "k"]


def test_a_line_of_just_the_limit_stays_whole() -> None:
    assert lines_of([b"abcd\n", b"ab", b"cd\n"], max_bytes=4) == ["abcd", "abcd"]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8), st.integers(1, 20))
def test_where_the_stream_is_cut_into_chunks_makes_no_difference(data: bytes, cuts: list[int], max_bytes: int) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[start:end] for start, end in itertools.pairwise(edges)]
    assert lines_of(chunks, max_bytes) == lines_of([data], max_bytes)


def test_everything_written_before_a_drain_is_delivered_by_it() -> None:
    lines: list[str] = []
    pipe = OutputPipe(lines.extend)
    os.write(pipe.write_fd, b"".join(b"line %d\n" % n for n in range(1000)))
    pipe.drain()
    assert lines == [f"line {n}" for n in range(1000)]
    ended_early = pipe.ended
    assert not ended_early
    os.write(pipe.write_fd, b"tail")
    pipe.close_write_end()
    pipe.drain()
    pipe.drain()
    assert lines[-1] == "tail"
    assert pipe.ended
    pipe.close()


def test_closing_delivers_what_a_living_writer_left_unfinished() -> None:
    lines: list[str] = []
    pipe = OutputPipe(lines.extend)
    held = os.dup(pipe.write_fd)
    os.write(held, b"no end")
    pipe.close()
    os.close(held)
    assert lines == ["no end"]
