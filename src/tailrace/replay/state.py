"""What a destination has confirmed and what was cut for it, so that an interrupted replay goes on where it stopped."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tailrace.errors import TailraceError, UsageError
from tailrace.replay.identity import identity_of
from tailrace.replay.pieces import Piece

_SALT_BYTES = 16


class StateError(TailraceError):
    """The file of confirmations cannot be kept."""


def default_state_path(place: str, environ: Mapping[str, str]) -> Path:
    """Where the confirmations for this place are kept: one file below the user's folder for state (XDG)."""
    home = environ.get("XDG_STATE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    return base / "tailrace" / "replay" / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.jsonl"


class Confirmations:
    """Which records of which envelope (by idempotency key) which destination (by `identity`) has taken, and in which
    pieces the others go out.

    Lines are added to a file and are on the disk when `confirm` returns; a last line that was cut off by a kill is
    not counted, and is ended by the next one. One replay has it at a time.
    """

    def __init__(self, path: Path, place: str, is_kept: bool = True) -> None:
        """With `is_kept` False nothing is written. Raises `StateError`, and `UsageError` for a file of something
        else."""
        self.path = path
        self._place = place
        self._taken: dict[tuple[str, str], set[int] | None] = {}
        self._cuts: dict[tuple[str, str], set[Piece]] = {}
        self._takers: dict[str, list[str]] = {}
        self._identities: dict[tuple[str, str], str] = {}
        self._salt = b""
        self._descriptor: int | None = None
        try:
            if is_kept:
                self._descriptor = self._open(path)
            self._read(path)
        except OSError as error:
            self.close()
            reason = (error.strerror or type(error).__name__).lower()
            raise StateError(f"{path}, where confirmed envelopes are noted, cannot be used: {reason}") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def identity(self, name: str, secrets: str) -> str:
        """What a destination is called here: its name, and where that leaves out `secrets` a digest of them."""
        found = self._identities.get((name, secrets))
        if found is None:
            if secrets and not self._salt:
                self._salt = os.urandom(_SALT_BYTES)
                self._add({"salt": self._salt.hex()})
            found = self._identities[name, secrets] = identity_of(name, secrets, self._salt)
        return found

    def takers(self, key: str) -> list[str]:
        """The identities of the destinations that have every record of the envelope."""
        return self._takers.get(key, [])

    def has_all(self, key: str, destination: str) -> bool:
        """Whether every record of the envelope is taken."""
        return self._taken.get((key, destination), ()) is None

    def taken(self, key: str, destination: str) -> frozenset[int]:
        """Which records are, by their places, where not all of them are."""
        return frozenset(self._taken.get((key, destination)) or ())

    def is_cut(self, key: str, destination: str, piece: Piece) -> bool:
        """Whether the piece is never sent as a whole any more."""
        return piece in self._cuts.get((key, destination), ())

    def cut(self, key: str, destination: str, piece: Piece) -> None:
        """From now on only halves of `piece` go out. Raises `StateError` like `confirm`."""
        self._cuts.setdefault((key, destination), set()).add(piece)
        self._add({"key": key, "to": destination, "cut": list(piece)})

    def confirm(self, key: str, destination: str, places: Collection[int] | None) -> None:
        """The records at these places are taken; None: all of them. Raises `StateError` where that cannot be written:
        going on would send them again the next time."""
        self._note(key, destination, places)
        self._add({"key": key, "to": destination, "records": "all" if places is None else sorted(places)})

    def _add(self, value: dict[str, object]) -> None:
        if self._descriptor is None:
            return
        try:
            self._write(value)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise StateError(f"{self.path}, where confirmed envelopes are noted, cannot be written: {reason}") from None

    def _note(self, key: str, destination: str, places: Collection[int] | None) -> None:
        known = self._taken.get((key, destination), set())
        if known is None:
            return
        if places is None:
            self._takers.setdefault(key, []).append(destination)
        self._taken[key, destination] = None if places is None else known | set(places)

    def forget(self) -> None:
        """Start over: what was confirmed before counts no more in this run. What was cut stays cut, so that each piece
        goes out under the name that the destination may know it by."""
        self._taken.clear()
        self._takers.clear()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, path: Path) -> int:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise StateError(f"another replay of {self._place} is running (it has {path})") from None
        return descriptor

    def _read(self, path: Path) -> None:
        data = path.read_bytes() if path.exists() else b""
        header = {"type": "tailrace.replay", "version": 1, "location": self._place}
        if json.dumps(header).encode().startswith(data):  # nothing yet, or cut off in its first line
            if self._descriptor is not None:
                os.ftruncate(self._descriptor, 0)
                self._write(header)
            return
        first, *lines = data.split(b"\n")
        if b'"tailrace.replay"' not in first:
            found = f"{path} holds something else than what a replay has confirmed"
            raise UsageError("--state", found, "name another file, or one that does not exist yet")
        for line in lines:
            try:
                self._read_line(json.loads(line))
            except (ValueError, TypeError, KeyError):
                continue  # cut off
        if not data.endswith(b"\n") and self._descriptor is not None:
            os.write(self._descriptor, b"\n")

    def _read_line(self, value: dict[str, Any]) -> None:
        if "salt" in value:
            self._salt = bytes.fromhex(value["salt"])
            return
        key, to = str(value["key"]), str(value["to"])
        if "cut" in value:
            first, end = value["cut"]
            self._cuts.setdefault((key, to), set()).add(Piece(int(first), int(end)))
            return
        places = value["records"]
        self._note(key, to, None if places == "all" else [int(place) for place in places])

    def _write(self, value: dict[str, object]) -> None:
        assert self._descriptor is not None
        line = json.dumps(value).encode() + b"\n"
        written = os.write(self._descriptor, line)
        if written < len(line):
            raise OSError(28, "no space left on device")
        os.fsync(self._descriptor)
