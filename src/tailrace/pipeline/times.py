"""Times of records, made safe to partition, compare and write into names."""

from __future__ import annotations

_SHAPE = "dddd-dd-ddTdd:dd:dd"


def normal_time(text: str) -> str | None:
    """`text` as ``2026-01-02T03:04:05.678Z``, or None where it is not a UTC time as telemetry events write it
    (lambda-platform.md 6.1: RFC 3339, UTC, suffix Z; the number of decimals is not relied on).

    A record's time ends up in paths and keys, so nothing but digits and punctuation of this shape gets through.
    """
    if not (20 <= len(text) <= 40 and text[-1] == "Z" and text.isascii()):
        return None
    seconds, fraction = text[:19], text[19:-1]
    for char, want in zip(seconds, _SHAPE, strict=True):
        if not char.isdigit() if want == "d" else char != want:
            return None
    if fraction and not (fraction[0] == "." and fraction[1:].isdigit()):
        return None
    in_range = 1 <= int(text[5:7]) <= 12 and 1 <= int(text[8:10]) <= 31 and int(text[11:13]) <= 23
    if not in_range:
        return None
    return f"{seconds}.{(fraction[1:] + '000')[:3]}Z"
