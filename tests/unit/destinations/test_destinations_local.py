from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.destination_cases import ENVIRON, RESOURCE, WALL_S, batch, build, record
from tailrace.config.settings import load_settings
from tailrace.destinations._shared import gzipped, gzipped_lines, ndjson_body, partition_key
from tailrace.destinations.registry import build_destinations
from tailrace.model.batch import Batch
from tailrace.model.resource import Resource
from tailrace.pipeline.identity import safe_name
from tailrace.pipeline.messages import DELIVERED, FileRequest, StreamRequest
from tailrace.pipeline.wire.local_transport import FileTransport

KEY = "functionName=orders/year=2026/month=11/day=20/hour=21/20261120T213000123Z-2026_11_20___LATEST_0123abcd-00000007"


def test_a_batch_becomes_one_file_below_the_folder() -> None:
    destination = build("file:///tmp/with%20blank/")
    request = destination.build_request(batch(destination, [record(7), record(8)]), RESOURCE, WALL_S)
    assert isinstance(request, FileRequest)
    assert request.path == f"/tmp/with blank/{KEY}.ndjson"
    assert request.body.count(b"\n") == 2


def test_compressed_files_say_so_in_their_names() -> None:
    destination = build("file:///tmp/x?compress=gzip")
    request = destination.build_request(batch(destination, [record(7)]), RESOURCE, WALL_S)
    assert isinstance(request, FileRequest)
    assert request.path == f"/tmp/x/{KEY}.ndjson.gz"
    assert gzip.decompress(request.body).endswith(b'"seq":7}\n')


def test_a_file_written_twice_is_one_file(tmp_path: Path) -> None:
    destination = build(f"file://{tmp_path}")
    request = destination.build_request(batch(destination, [record(7)]), RESOURCE, WALL_S)
    assert isinstance(request, FileRequest)
    transport = FileTransport()
    kinds = [destination.classify(transport.send(request, 5)).kind for _ in range(2)]
    transport.close()
    assert kinds == [DELIVERED, DELIVERED]
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        f"{KEY}.ndjson"
    ]


def test_stdout_writes_lines_and_warns_once() -> None:
    environ = {**ENVIRON, "TAILRACE_DESTINATIONS": "stdout:"}
    built = build_destinations(environ, load_settings(environ))
    assert len(built.warnings) == 1
    assert "CloudWatch" in built.warnings[0]
    (destination,) = built.destinations
    request = destination.build_request(batch(destination, [record(7)]), RESOURCE, WALL_S)
    assert isinstance(request, StreamRequest)


def test_stdout_is_refused_where_it_would_feed_itself() -> None:
    environ = {**ENVIRON, "TAILRACE_DESTINATIONS": "stdout: file:///tmp/x", "TAILRACE_TYPES": "function,extension"}
    built = build_destinations(environ, load_settings(environ))
    assert [one.name for one in built.destinations] == ["file:///tmp/x"]
    assert "take extension out of TAILRACE_TYPES" in str(built.problems[0])
    assert built.warnings == []


def test_a_batch_without_time_lies_under_1970() -> None:
    sealed = Batch([b"{}"], 1, 1, "soon")
    assert partition_key(sealed, Resource("f", "e"), ".ndjson") == (
        "functionName=f/year=1970/month=01/day=01/hour=00/19700101T000000000Z-e-00000001.ndjson"
    )


@pytest.mark.parametrize("data", [b"", b"x" * 100_000])
def test_gzip_files_hold_no_time_and_no_name(data: bytes) -> None:
    zipped = gzipped([data])
    assert zipped == gzipped([data])
    assert zipped[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
    assert gzip.decompress(zipped) == data


@pytest.mark.parametrize("n_records", [1, 255, 256, 257, 1000])
def test_lines_that_are_compressed_piece_by_piece_are_the_lines(n_records: int) -> None:
    batch = Batch([b'{"n":%d}' % number for number in range(n_records)], 0, n_records - 1, "soon")
    assert gzip.decompress(gzipped_lines(batch)) == ndjson_body(batch)
    assert gzipped_lines(batch) == gzipped_lines(batch)


@given(st.text(max_size=300))
def test_safe_names_are_one_segment_that_is_no_way_up(text: str) -> None:
    name = safe_name(text)
    assert name.strip(".")
    assert name.isascii()
    assert "/" not in name
    assert len(name) <= 140
