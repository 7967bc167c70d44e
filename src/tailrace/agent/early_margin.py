"""The margin before an event's deadline, for an event that comes before the settings can be read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MARGIN_S = 0.1
MAX_MS = 60_000  # as in `tailrace.config.settings`


def early_margin_s(environ: Mapping[bytes, bytes], file: bytes) -> float:
    """What `TAILRACE_MARGIN_MS` says, else `margin_ms` in the bytes of the configuration file, else the default."""
    for digits in (environ.get(b"TAILRACE_MARGIN_MS", b"").strip(), margin_in(file, environ)):
        if digits.isdigit() and int(digits[:12]) <= MAX_MS:
            return int(digits[:12]) / 1000
    return DEFAULT_MARGIN_S


def margin_in(file: bytes, environ: Mapping[bytes, bytes]) -> bytes:
    """The digits of `margin_ms` at the top level of a TOML file, empty where it is not there or written in any way but
    the usual ones: nothing that decodes the file is imported yet."""
    for line in file.splitlines():
        key, equals, value = line.partition(b"=")
        key = key.strip()
        if key.startswith(b"["):
            return b""  # tables follow
        if equals and key.strip(b"\"'") == b"margin_ms":
            text = value.partition(b"#")[0].strip().strip(b"\"'")
            if text.startswith(b"${") and text.endswith(b"}"):
                text = environ.get(text[2:-1], b"")
            return text.strip().replace(b"_", b"")
    return b""
