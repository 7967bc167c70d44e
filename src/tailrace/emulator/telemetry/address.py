"""Where a subscriber of telemetry listens, and why it cannot be reached."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"
_SANDBOX_HOSTS = frozenset({"sandbox.localdomain", "sandbox", "localhost", LOOPBACK, "0.0.0.0"})  # noqa: S104 - compared, never bound
_SCHEMES = ("http", "tcp")


class ConnectionClosedError(Exception):
    """The connection to a subscriber ended before the delivery did."""


@dataclass(frozen=True, slots=True)
class Address:
    """A subscriber's URI, taken apart. `host` is what the `Host` header says, `target` the request target."""

    scheme: str
    port: int
    host: str
    target: str


def parse_address(uri: str) -> Address:
    """Only the sandbox itself is a destination (lambda-platform.md 5.5); its names stand for loopback here.

    Raises `ValueError` for anything else.
    """
    parts = urlsplit(uri)
    if parts.scheme not in _SCHEMES or (parts.hostname or "").lower() not in _SANDBOX_HOSTS:
        raise ValueError(f"{uri} is not an http:// address of the sandbox")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or any(c in target for c in " \r\n"):
        raise ValueError(f"{uri} has characters that no request line can hold")
    return Address(parts.scheme, parts.port or 80, parts.netloc.rpartition("@")[2], target)


def reset_on_close(sock: socket.socket | None) -> None:
    """Have the other side find a reset, and no orderly end, when this socket is closed."""
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def describe(error: BaseException) -> str:
    """An error in a few constant words, for the platform's own logs."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
