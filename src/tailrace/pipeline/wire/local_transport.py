"""Requests that never leave the machine: whole files, and the standard output."""

from __future__ import annotations

import _thread
import posix

from tailrace.errors import ConnectError
from tailrace.pipeline.messages import Reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.pipeline.messages import FileRequest, StreamRequest

_FOLDER_MODE = 0o755
_FILE_MODE = 0o644
_STDOUT = 1
_LINE_BREAK = 0x0A
# The kernel mixes long writes of two threads: whoever writes to standard output holds this.
_stdout_lock = _thread.allocate_lock()
# Descriptors whose last line was written in part. What comes next begins a line of its own.
_torn: set[int] = set()


class FileTransport:
    """Writes a file under another name in the same folder and renames it, so that a reader never sees a part.

    The other name begins with a dot and does not contain the final one, so no pattern for the files matches it.
    """

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def send(
        self,
        request: FileRequest,
        timeout_s: float,
        on_written: Callable[[], None] | None = None,
    ) -> Reply:
        """Status 200, or `ConnectError`: nothing of the file is to be seen then. Folders are made as needed."""
        folder = _folder_of(request.path)
        try:
            descriptor, temporary = self._create(folder)
            try:
                _write_all(descriptor, request.body)
                posix.rename(temporary, request.path)
            except OSError:
                posix.unlink(temporary)
                raise
            finally:
                posix.close(descriptor)
        except OSError as error:
            raise ConnectError(f"{posix.strerror(error.errno or 0).lower()}: {request.path}") from error
        return Reply(200)

    def close(self) -> None:
        """Nothing is kept open."""

    def _create(self, folder: str) -> tuple[int, str]:
        """An empty file in `folder` under a name that nobody else has."""
        is_made = False
        while True:
            self._count += 1
            path = f"{folder}/.tailrace-{posix.getpid()}-{id(self):x}-{self._count}.part"
            try:
                return posix.open(
                    path, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC, _FILE_MODE
                ), path
            except FileExistsError:
                continue  # left behind by a killed process of the same number
            except FileNotFoundError:
                if is_made:
                    raise  # a link that leads nowhere, or somebody removes it as fast as it is made
                _make_folders(folder)
                is_made = True


class StreamTransport:
    """Writes to the standard output, everything in one go."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int = _STDOUT) -> None:
        self._descriptor = descriptor

    def send(
        self,
        request: StreamRequest,
        timeout_s: float,
        on_written: Callable[[], None] | None = None,
    ) -> Reply:
        """Status 200, or `ConnectError` when nothing was written. After a part 206: the header `lines` says how many
        whole lines that were, `reason` why it was not all. What is left of a line is never continued."""
        with _stdout_lock:
            written, error = _write_lines(self._descriptor, request.body)
        if error is None:
            return Reply(200)
        reason = f"standard output: {posix.strerror(error.errno or 0).lower()}"
        if not written:
            raise ConnectError(reason) from error
        return Reply(206, {"lines": str(request.body.count(b"\n", 0, written)), "reason": reason})

    def close(self) -> None:
        """The standard output is not ours to close."""


def write_standard_output(data: bytes) -> None:
    """Write all of `data`, past every buffer. Where nobody reads it there is nothing left to do."""
    with _stdout_lock:
        _write_lines(_STDOUT, data)


def _write_lines(descriptor: int, data: bytes) -> tuple[int, OSError | None]:
    """How many bytes of `data` got out, and what stopped the rest. The caller has the lock."""
    written = 0
    try:
        if descriptor in _torn:
            posix.write(descriptor, b"\n")
            _torn.discard(descriptor)
        while written < len(data):
            written += posix.write(descriptor, data[written:] if written else data)
    except OSError as error:
        if written and data[written - 1] != _LINE_BREAK:
            _torn.add(descriptor)
        return written, error
    return written, None


def _folder_of(path: str) -> str:
    folder, slash, _ = path.rpartition("/")
    return folder or slash or "."


def _make_folders(folder: str) -> None:
    """`folder` and what is missing above it."""
    try:
        posix.mkdir(folder, _FOLDER_MODE)
    except FileExistsError:
        return  # somebody else was faster, or it is no folder: then opening the file says so
    except FileNotFoundError:
        above = folder.rstrip("/").rpartition("/")[0]
        if not above:
            raise
        _make_folders(above)
        posix.mkdir(folder, _FOLDER_MODE)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[posix.write(descriptor, view) :]
