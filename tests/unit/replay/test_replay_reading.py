"""Files in a folder: compressed, cut off, foreign, damaged, or not to be read at all."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.dead_letters import RESOURCE, letter, write_letters
from tailrace.errors import UsageError
from tailrace.pipeline.dead_letters.envelope import envelope_line
from tailrace.replay.lines import (
    CHUNK_BYTES,
    ENVELOPE_MAX_BYTES,
    OTHER_MAX_BYTES,
    DamagedFileError,
    LineLimits,
    LongLine,
)
from tailrace.replay.lines import lines_of as read_lines
from tailrace.replay.places import FolderPlace, PlaceError, StoredFile, open_place
from tailrace.replay.reading import FileContents, read_file


def lines_of(stream: BinaryIO, limits: LineLimits = LineLimits(b"mark")) -> list[bytes | LongLine]:  # noqa: B008
    return list(read_lines(stream, limits))


def contents_of(path: Path) -> FileContents:
    place = FolderPlace(path)
    (file,) = place.files()
    return read_file(place, file)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200).filter(lambda line: b"\n" not in line), min_size=1, max_size=20), st.booleans())
def test_lines_are_the_same_whether_compressed_or_not(lines: list[bytes], ends: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ends else b"")
    expected = lines if ends or lines[-1] else lines[:-1]
    if data[:2] != b"\x1f\x8b":
        assert lines_of(io.BytesIO(data)) == expected
    assert lines_of(io.BytesIO(gzip.compress(data))) == expected
    middle = len(data) // 2
    joined = gzip.compress(data[:middle]) + gzip.compress(data[middle:])
    assert lines_of(io.BytesIO(joined)) == expected


def test_lines_longer_than_what_is_read_at_once() -> None:
    data = os.urandom(CHUNK_BYTES * 2).replace(b"\n", b" ") + b"\nend"
    for file in (data, gzip.compress(data)):
        assert [len(line) for line in lines_of(io.BytesIO(file)) if isinstance(line, bytes)] == [CHUNK_BYTES * 2, 3]


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=900).filter(lambda line: b"\n" not in line), min_size=1, max_size=12),
    st.integers(0, 400),
)
def test_lines_that_are_too_long_are_named_where_they_stand_and_the_others_are_whole(
    lines: list[bytes], most: int
) -> None:
    found = lines_of(io.BytesIO(b"\n".join(lines) + b"\n"), LineLimits(b"mark", 600, most))
    expected = [
        line if len(line) <= (600 if b"mark" in line[:256] else most) else LongLine(line[:256], most) for line in lines
    ]
    assert [one.max_bytes if isinstance(one, LongLine) else one for one in found] == [
        one.max_bytes if isinstance(one, LongLine) else one for one in expected
    ]


def test_what_begins_like_an_envelope_may_be_longer() -> None:
    limits = LineLimits(b"mark", 600, 300)
    data = b"mark" + b"x" * 500 + b"\n" + b"y" * 500 + b"\nmark" + b"z" * 700 + b"\nend"
    found = lines_of(io.BytesIO(data), limits)
    assert found[0] == b"mark" + b"x" * 500
    assert found[1] == LongLine(b"y" * 256, 300)
    assert found[2] == LongLine(b"mark" + b"z" * 252, 600)
    assert found[3] == b"end"


class CountingStream(io.RawIOBase):
    """Endless zeros, and how many of them were asked for."""

    def __init__(self) -> None:
        self.n_bytes = 0

    def read(self, size: int = -1) -> bytes:
        self.n_bytes += size
        return b"\0" * size


def test_a_line_without_an_end_is_told_before_its_end() -> None:
    stream = CountingStream()
    limits = LineLimits(b"mark", 10 * CHUNK_BYTES, 4 * CHUNK_BYTES)
    assert isinstance(next(iter(read_lines(stream, limits))), LongLine)  # type: ignore[arg-type]  # all that is read of it
    assert stream.n_bytes == 5 * CHUNK_BYTES


def test_a_line_that_is_longer_than_any_envelope_is_skipped_and_named(
    tmp_path: Path,
) -> None:
    good = envelope_line(letter(1, 3), RESOURCE)
    long = b"\0" * (OTHER_MAX_BYTES + 1)
    (tmp_path / "s-env-dead-letter-00000001.ndjson.gz").write_bytes(
        gzip.compress(good + b"\n" + long + b"\n" + good, 1)
    )
    contents = contents_of(tmp_path)
    assert [one.where[-6:] for one in contents.envelopes] == ["line 1", "line 3"]
    (trouble,) = contents.troubles
    assert trouble.endswith("line 2: it is longer than 48 MiB, which no envelope is; it was skipped")


def test_no_envelope_is_as_long_as_a_line_may_be() -> None:
    # all that takes most bytes: a control character as the id of the request
    text = "\x01" * 50_000
    record = json.dumps({"requestId": text, "seq": 1}, ensure_ascii=False).encode()
    one = letter(1, 1)
    one.batch.parts[:] = [record]
    assert len(envelope_line(one, RESOURCE)) < 2 * 6 * len(record) + 4096
    assert OTHER_MAX_BYTES < ENVELOPE_MAX_BYTES


def test_each_thing_that_is_wrong_with_a_file_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "s-env-dead-letter-00000001.ndjson").write_bytes(b"\xff\n" * 17 + b'{"type":"tailrace.deadLetter"\n')
    contents = contents_of(tmp_path)
    assert contents.troubles == [
        "s-env-dead-letter-00000001.ndjson, lines 1, 2, 3 and 14 more: this is no envelope",
        "s-env-dead-letter-00000001.ndjson, line 18: the line is cut off or damaged",
    ]
    assert contents.n_troubles == 18


@settings(deadline=None)
@given(st.integers(1, 200))
def test_a_compressed_file_that_was_cut_off_says_so(left: int) -> None:
    whole = gzip.compress(os.urandom(180) + b"\n", mtime=0)
    cut = whole[: max(2, len(whole) - left)]
    with pytest.raises(DamagedFileError):
        lines_of(io.BytesIO(cut))


def test_envelopes_of_a_file_with_their_places(tmp_path: Path) -> None:
    write_letters(tmp_path / "a.ndjson", letter(1, 3), letter(4, 5))
    contents = contents_of(tmp_path)
    assert [(one.where, one.n_records) for one in contents.envelopes] == [
        ("a.ndjson, line 1", 3),
        ("a.ndjson, line 2", 2),
    ]
    assert not contents.troubles
    assert not contents.is_foreign


def test_a_last_line_that_was_cut_off_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    path = write_letters(tmp_path / "a.ndjson", letter(1, 3), letter(4, 5))
    path.write_bytes(path.read_bytes()[:-20])
    contents = contents_of(tmp_path)
    assert len(contents.envelopes) == 1
    assert contents.troubles == ["a.ndjson, line 2: the line is cut off or damaged"]


def test_a_damaged_compressed_file_is_told_after_what_could_be_read(tmp_path: Path) -> None:
    line = envelope_line(letter(1, 3), RESOURCE) + b"\n"
    whole = gzip.compress(line) + gzip.compress(line)
    (tmp_path / "x-dead-letter-00000001.ndjson.gz").write_bytes(whole[:-30])
    contents = contents_of(tmp_path)
    assert len(contents.envelopes) == 1
    assert contents.troubles[-1].endswith("the compressed file ends too early")


@pytest.mark.parametrize("data", [b"", b"\n", b"hello\n", b'{"type":"function"}\n' * 9, b"\x1f\x8bno", os.urandom(99)])
def test_a_foreign_file_is_no_trouble(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.ndjson").write_bytes(data)
    contents = contents_of(tmp_path)
    assert not contents.envelopes
    assert not contents.troubles


def test_a_file_of_ours_with_something_else_in_it_is_a_trouble(tmp_path: Path) -> None:
    (tmp_path / "s-env-dead-letter-00000001.ndjson").write_bytes(b"hello\n" + envelope_line(letter(), RESOURCE) + b"\n")
    contents = contents_of(tmp_path)
    assert len(contents.envelopes) == 1
    assert contents.troubles == ["s-env-dead-letter-00000001.ndjson, line 1: this is no envelope"]


def test_files_come_in_order_and_those_being_written_are_left_out(tmp_path: Path) -> None:
    for name in ("b/1", "a/2", "a/.tailrace-1.part", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [file.name for file in FolderPlace(tmp_path).files()] == ["c", "a/2", "b/1"]


def test_a_file_that_vanishes_is_told(tmp_path: Path) -> None:
    place = FolderPlace(tmp_path)
    contents = read_file(place, StoredFile("gone", 1))
    assert contents.troubles == [f"{tmp_path}/gone cannot be read: no such file or directory"]


def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "in").mkdir(mode=0)
    with pytest.raises(PlaceError, match="in cannot be read: permission denied"):
        list(FolderPlace(tmp_path).files())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/no/such/folder", "there is no /no/such/folder"),
        ("http://logs.example/dead", "dead letters do not lie behind http:"),
        ("s4://logs", 'unknown scheme "s4" in "s4://logs"'),
        ("file://tmp/x", '"tmp" stands where a host would in "file://tmp/x"'),
    ],
)
def test_a_place_that_cannot_be_is_told(text: str, found: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_place(text, {})
    assert (caught.value.setting, caught.value.found) == ("LOCATION", found)


def test_a_folder_is_the_same_place_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "dead letters"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    names = {open_place(text, {}).name for text in ("dead letters", str(folder), f"file://{tmp_path}/dead%20letters")}
    assert names == {f"file://{tmp_path}/dead%20letters"}
