"""Filling the `/tmp` of an environment that has one of its own."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path

MAX_BYTES = 10 * 2**30
"""The largest `/tmp` there is on Lambda. What is larger is somebody's disk, and is never filled."""

_PIECE_BYTES = 1024 * 1024


class DiskFiller:
    """Takes up the room of a file system by a file without a name, which is gone when it is closed."""

    def __init__(self) -> None:
        self._descriptor = -1

    def fill(self, pids: Iterable[int], free_bytes: int) -> str:
        """Fill the `/tmp` that these processes see up to `free_bytes`. What kept it from that, or nothing."""
        place = _own_tmp(pids)
        if place is None:
            return "the environment has no /tmp of its own"
        self.release()
        try:
            self._descriptor = os.open(place, os.O_TMPFILE | os.O_RDWR, 0o600)
            self._take(free_bytes)
        except OSError as error:
            self.release()
            return f"/tmp cannot be filled: {(error.strerror or str(error)).lower()}"  # noqa: S108 - words for a person
        return ""

    def _take(self, free_bytes: int) -> None:
        """Piece by piece: what is told to be free is not all to be had."""
        size, piece = 0, _PIECE_BYTES
        while piece:
            stat = os.fstatvfs(self._descriptor)
            piece = min(piece, stat.f_bavail * stat.f_frsize - free_bytes)
            if piece <= 0:
                return
            try:
                os.posix_fallocate(self._descriptor, size, piece)
                size += piece
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                piece //= 2

    def release(self) -> None:
        """Give the room back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _own_tmp(pids: Iterable[int]) -> Path | None:
    """The processes' `/tmp` as seen from here, if it is a file system of its own and not too large."""
    shared = {_device(Path(path)) for path in ("/", "/tmp")}  # noqa: S108 - compared, never written to
    for pid in pids:
        place = Path(f"/proc/{pid}/root/tmp")
        with contextlib.suppress(OSError):
            stat = os.statvfs(place)
            if _device(place) not in shared and stat.f_blocks * stat.f_frsize <= MAX_BYTES:
                return place
    return None


def _device(path: Path) -> int:
    return path.stat().st_dev
