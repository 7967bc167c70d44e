from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from tailrace.errors import ConnectError
from tailrace.pipeline.messages import FileRequest, StreamRequest
from tailrace.pipeline.wire.local_transport import FileTransport, StreamTransport


def test_a_file_and_its_folders_appear_with_sane_modes(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "hour=21" / "x.ndjson"
    before = os.umask(0o022)
    try:
        assert FileTransport().send(FileRequest(str(path), b"line\n"), 1.0).status == 200
    finally:
        os.umask(before)
    assert path.read_bytes() == b"line\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    assert [p.name for p in path.parent.iterdir()] == ["x.ndjson"]


def test_writing_the_same_batch_twice_leaves_one_file(tmp_path: Path) -> None:
    transport = FileTransport()
    for body in (b"first", b"second"):
        transport.send(FileRequest(str(tmp_path / "x.ndjson"), body), 1.0)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"second"]


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    body = b"x" * 4_000_000
    transport, done = FileTransport(), threading.Event()
    seen: set[int] = set()

    def read() -> None:
        while not done.is_set():
            for pattern in ("*.ndjson", "*.ndjson*", "*.gz"):
                seen.update(path.stat().st_size for path in tmp_path.glob(pattern))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(20):
        transport.send(FileRequest(str(tmp_path / f"{n}.ndjson.gz"), body), 1.0)
    done.set()
    reader.join(20)
    assert seen <= {len(body)}


def test_a_relative_path_and_the_root_s_folder_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FileTransport().send(FileRequest("x.ndjson", b"x"), 1.0)
    FileTransport().send(FileRequest("sub/y.ndjson", b"y"), 1.0)
    assert (tmp_path / "x.ndjson").read_bytes() + (tmp_path / "sub/y.ndjson").read_bytes() == b"xy"


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file" / "x.ndjson")
    with pytest.raises(ConnectError, match=f"^not a directory: {path}$"):
        FileTransport().send(FileRequest(path, b"x"), 1.0)
    deeper = str(tmp_path / "file" / "deep" / "x.ndjson")
    with pytest.raises(ConnectError, match=r"^not a directory: "):
        FileTransport().send(FileRequest(deeper, b"x"), 1.0)


@pytest.mark.parametrize("folder", ["/proc/nowhere/x", "/proc/nowhere", "/dev/null/x"])
def test_a_place_where_no_folder_can_be_made_is_named(folder: str) -> None:
    with pytest.raises(ConnectError):
        FileTransport().send(FileRequest(f"{folder}/a", b"x"), 1.0)


def test_a_link_that_leads_nowhere_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(ConnectError, match="no such file"):
        FileTransport().send(FileRequest(str(tmp_path / "link" / "a"), b"x"), 1.0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConnectError, match=r"^permission denied: "):
        FileTransport().send(FileRequest(str(tmp_path / "x.ndjson"), b"x"), 1.0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_a_full_disk_is_named_for_streams() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(ConnectError, match=r"^standard output: no space left on device$"):
            StreamTransport(descriptor).send(StreamRequest(b"x"), 1.0)
    finally:
        os.close(descriptor)


def test_a_target_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").mkdir()
    with pytest.raises(ConnectError, match=r"^is a directory: "):
        FileTransport().send(FileRequest(str(tmp_path / "x.ndjson"), b"x"), 1.0)
    assert [p.name for p in tmp_path.iterdir()] == ["x.ndjson"]


def test_a_stream_gets_everything_in_one_go() -> None:
    reading, writing = os.pipe()
    try:
        assert StreamTransport(writing).send(StreamRequest(b"line 1\nline 2\n"), 1.0).status == 200
        assert os.read(reading, 100) == b"line 1\nline 2\n"
    finally:
        os.close(reading)
        os.close(writing)


def test_of_a_stream_that_ends_in_the_middle_the_whole_lines_are_known_and_the_torn_one_is_not_continued() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        transport = StreamTransport(writing)
        body = b"".join(b"%06d\n" % n for n in range(100_000))
        room = os.write(writing, b"." * 10_000_000)
        os.read(reading, room)
        os.write(writing, b"." * (room - 9000) + b"\n")  # a page or two are left, no multiple of seven bytes
        reply = transport.send(StreamRequest(body), 1.0)
        assert reply.status == 206
        assert reply.headers["reason"].startswith("standard output: ")
        first = os.read(reading, 10_000_000).split(b"\n")[1:]
        assert int(reply.headers["lines"]) == len(first) - 1
        assert body.startswith(b"\n".join(first))
        assert transport.send(StreamRequest(b"again\n"), 1.0).status == 200
        assert os.read(reading, 100) == b"\nagain\n"
        assert first[-1]  # torn
    finally:
        os.close(reading)
    with pytest.raises(ConnectError, match=r"^standard output: broken pipe$"):
        StreamTransport(writing).send(StreamRequest(b"x"), 1.0)
    os.close(writing)
