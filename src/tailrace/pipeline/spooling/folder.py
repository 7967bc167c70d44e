"""A private folder on ephemeral storage: the shell around the spool's files.

Ephemeral storage belongs to one environment and survives the resets of its processes (lambda-platform.md 4.7), and the
function writes there, too. So nothing is followed that somebody may have put there: the folder is opened once, must
be ours, and everything in it is reached through that descriptor. Nothing is synced to the disk: what a process has
written outlives its kill in the kernel, and with the machine the storage is gone anyway.
"""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NO_SPACE = (28, 122)
"""ENOSPC, EDQUOT: the module that names them is not loaded here."""
_FOLDER_FLAGS = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC
# Without blocking: a pipe that somebody put in a file's place would be waited for without end.
_FILE_FLAGS = posix.O_NOFOLLOW | posix.O_CLOEXEC | posix.O_NONBLOCK
_PRIVATE = 0o700
_OTHERS = 0o077
_LOCK = "lock"
# FNV-1a: tells names apart without a module for it.
_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_64_BITS = (1 << 64) - 1
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
# What is larger was not written by us, and is not read into memory.
MAX_READ_BYTES = 1 << 28


class SpoolUnusableError(Exception):
    """The folder cannot be used; the text says why, in the words after `the folder ...`."""


class SpoolFolder:
    """One environment's folder, locked for this process. All errors of its files are `OSError`."""

    __slots__ = ("_fd", "_lock_fd", "path")

    def __init__(self, fd: int, lock_fd: int, path: str) -> None:
        self._fd = fd
        self._lock_fd = lock_fd
        self.path = path

    def names(self) -> list[str]:
        """The files that lie there, in the order of their names."""
        return sorted(name for name in posix.listdir(self._fd) if name != _LOCK)

    def size(self, name: str) -> int:
        return posix.stat(name, dir_fd=self._fd, follow_symlinks=False).st_size

    def read(self, name: str) -> bytes:
        """A whole file."""
        fd = self.open(name, posix.O_RDONLY)
        try:
            size = posix.fstat(fd).st_size
            if size > MAX_READ_BYTES:
                raise OSError(f"{name} has {size} bytes")
            return _read(fd, size, 0)
        finally:
            posix.close(fd)

    def read_part(self, name: str, begin: int, end: int) -> bytes:
        """The bytes from `begin` up to `end`, or what is there of them."""
        fd = self.open(name, posix.O_RDONLY)
        try:
            return _read(fd, end - begin, begin)
        finally:
            posix.close(fd)

    def open(self, name: str, flags: int) -> int:
        """A descriptor for one of the files. A symbolic link in its place is an error."""
        return posix.open(name, flags | _FILE_FLAGS, 0o600, dir_fd=self._fd)

    def create(self, name: str) -> int:
        """A new file, to append to."""
        return self.open(name, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL)

    def mark(self, name: str, places: Sequence[int], value: int) -> None:
        """Set single bytes of a file."""
        fd = self.open(name, posix.O_WRONLY)
        try:
            for place in places:
                posix.pwrite(fd, bytes((value,)), place)
        finally:
            posix.close(fd)

    def remove(self, name: str) -> None:
        """Whether it is still there or not."""
        try:
            posix.unlink(name, dir_fd=self._fd)
        except FileNotFoundError:
            return

    def set_aside(self, name: str, suffix: str) -> None:
        """Rename a file that is not ours to read."""
        posix.rename(name, f"{name}.{suffix}", src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def close(self) -> None:
        posix.close(self._lock_fd)
        posix.close(self._fd)


def open_spool_folder(path: str, names: Sequence[str]) -> SpoolFolder:
    """The folder of this environment below `path`, made where it is missing. Raises `SpoolUnusableError`.

    Its own name is made of what tells environments apart: this boot of the machine, the folder itself (which is
    another one on other storage), and `names`. What another environment left is never read.
    """
    try:
        base_fd = _open_private(path, None)
    except OSError as error:
        raise SpoolUnusableError(_text(error)) from None
    try:
        name = _identity(base_fd, names)
        fd = _open_private(name, base_fd)
    except OSError as error:
        raise SpoolUnusableError(_text(error)) from None
    finally:
        posix.close(base_fd)
    try:
        lock_fd = _locked(fd)
    except BaseException:
        posix.close(fd)
        raise
    return SpoolFolder(fd, lock_fd, f"{path}/{name}")


def write_all(fd: int, data: bytes, at: int) -> None:
    """Write `data` at the place `at`. Raises `OSError`; part of it may stand there then."""
    view = memoryview(data)
    while view:
        n = posix.pwrite(fd, view, at)
        if n <= 0:
            raise OSError("nothing could be written")
        view = view[n:]
        at += n


def _open_private(path: str, dir_fd: int | None) -> int:
    try:
        posix.mkdir(path, _PRIVATE, dir_fd=dir_fd)
    except FileExistsError:
        existed = True  # whose it is, and that it is no link, shows when it is open
    else:
        existed = False
    fd = posix.open(path, _FOLDER_FLAGS, dir_fd=dir_fd)
    try:
        status = posix.fstat(fd)
        if status.st_uid != posix.geteuid():
            raise SpoolUnusableError(f"belongs to user {status.st_uid}, not to {posix.geteuid()}")
        if existed and status.st_mode & _OTHERS:
            posix.fchmod(fd, _PRIVATE)
    except BaseException:
        posix.close(fd)
        raise
    return fd


def _locked(fd: int) -> int:
    """A descriptor that holds the lock until it is closed or the process ends."""
    try:
        lock_fd = posix.open(_LOCK, posix.O_RDWR | posix.O_CREAT | _FILE_FLAGS, 0o600, dir_fd=fd)
    except OSError as error:
        raise SpoolUnusableError(_text(error)) from None
    try:
        posix.lockf(lock_fd, posix.F_TLOCK, 0)
    except OSError:
        posix.close(lock_fd)
        raise SpoolUnusableError("is in use by another process") from None
    return lock_fd


def _identity(base_fd: int, names: Sequence[str]) -> str:
    """16 hexadecimal digits."""
    status = posix.fstat(base_fd)
    words = [_boot_id(), str(status.st_dev), str(status.st_ino), *names]
    hashed = _FNV_OFFSET
    for byte in "\0".join(words).encode("utf-8", "surrogateescape"):
        hashed = (hashed ^ byte) * _FNV_PRIME & _64_BITS
    return f"{hashed:016x}"


def _boot_id() -> str:
    try:
        fd = posix.open(_BOOT_ID, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return posix.read(fd, 64).decode("ascii", "replace").strip()
    except OSError:
        return ""
    finally:
        posix.close(fd)


def _read(fd: int, n_bytes: int, at: int) -> bytes:
    pieces = []
    while n_bytes > 0:
        piece = posix.pread(fd, n_bytes, at)
        if not piece:
            break
        pieces.append(piece)
        n_bytes -= len(piece)
        at += len(piece)
    return b"".join(pieces)


def _text(error: OSError) -> str:
    """Without the path, which whoever says it adds."""
    return f"cannot be used: {error.strerror or error}"
