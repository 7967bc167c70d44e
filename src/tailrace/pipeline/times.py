"""Times of records, made safe to partition, compare and write into names."""

from __future__ import annotations

MIN_TIMEOUT_S = 0.001  # what a socket may wait at least: it takes 0 for not waiting at all


def normal_time(text: str) -> str | None:
    """`text` as ``2026-01-02T03:04:05.678Z``, or None where it is not a UTC time as telemetry events write it
    (lambda-platform.md 6.1: RFC 3339, UTC, suffix Z; the number of decimals is not relied on).

    A record's time ends up in paths and keys, so nothing but digits and punctuation of this shape gets through.
    """
    if not (20 <= len(text) <= 40 and text.isascii() and text[4::3][:5] == "--T::" and text[-1] == "Z"):
        return None
    month, day, hour, fraction = text[5:7], text[8:10], text[11:13], text[19:-1]
    if not (text[:4] + month + day + hour + text[14:16] + text[17:19]).isdigit():
        return None
    if not ("01" <= month <= "12" and "01" <= day <= "31" and hour <= "23"):
        return None
    if len(text) == 24 and fraction[0] == "." and fraction[1:].isdigit():
        return text  # the form that telemetry has
    if fraction and not (fraction[0] == "." and fraction[1:].isdigit()):
        return None
    return f"{text[:19]}.{(fraction[1:] + '000')[:3]}Z"


def timeout_s(most_s: float, deadline_s: float | None, now_s: float) -> float:
    """How long to wait: `most_s`, or what is left until `deadline_s`, where there is one. Never 0."""
    return most_s if deadline_s is None else max(MIN_TIMEOUT_S, min(most_s, deadline_s - now_s))


def epoch_ms(text: str) -> int | None:
    """A time as telemetry events write it in milliseconds since 1970, or None where it is none."""
    time = normal_time(text)
    if time is None:
        return None
    days = days_since_1970(int(time[:4]), int(time[5:7]), int(time[8:10]))
    seconds = days * 86_400 + int(time[11:13]) * 3600 + int(time[14:16]) * 60 + int(time[17:19])
    return seconds * 1000 + int(time[20:23])


def days_since_1970(year: int, month: int, day: int) -> int:
    """In the Gregorian calendar. March is the first month here, so that leap days come last."""
    if month < 3:
        year, month = year - 1, month + 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719_469
