"""Figures written for people. JSON gets the exact ones, with the unit in the key."""

from __future__ import annotations

BLOCKS = " ▏▎▍▌▋▊▉█"


def duration(milliseconds: float) -> str:
    """`92 ms`, `1.4 s`, `12 s`."""
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def size(n_bytes: int) -> str:
    """`512 B`, `1.4 MB` (decimal units)."""
    value, unit = float(n_bytes), "B"
    for bigger in ("kB", "MB", "GB"):
        if value < 999.5:
            break
        value, unit = value / 1000, bigger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"


def bar(share: float, width: int) -> str:
    """A bar of `width` cells of which `share` (0 to 1) is filled, in eighths; never empty."""
    eighths = max(1, round(min(1.0, max(0.0, share)) * width * 8))
    full, rest = divmod(eighths, 8)
    return (BLOCKS[8] * full + (BLOCKS[rest] if rest else "")).ljust(width)


def shortened(text: str, limit: int) -> str:
    """`text` on one line, cut to `limit` characters with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
