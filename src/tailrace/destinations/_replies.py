"""What HTTP replies say to any client: when to come back, and where a redirect leads."""

from __future__ import annotations

from tailrace.errors import ConfigError
from tailrace.pipeline.times import days_since_1970

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.pipeline.messages import Reply

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LONGEST_S = 86_400.0


def retry_after_s(reply: Reply) -> float | None:
    """Seconds to wait, from ``Retry-After`` (RFC 9110, 10.2.3), at most a day; None where nothing usable is said.

    A date counts from the reply's own ``Date``, so that the sandbox's clock does not matter, unless there is none.
    """
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_S) if len(text) <= 9 else _LONGEST_S
    then, now = http_date_s(text), http_date_s(reply.headers.get("date", "").strip())
    if now is None and reply.came_s:
        now = int(reply.came_s)
    if then is None or now is None:
        return None
    return min(max(0.0, float(then - now)), _LONGEST_S)


def http_date_s(text: str) -> int | None:
    """``Sun, 06 Nov 1994 08:49:37 GMT`` as seconds since 1970, or None. The only form that servers may send."""
    words = text.split()
    if len(words) != 6 or words[5] != "GMT" or words[2] not in _MONTHS:
        return None
    numbers = [words[1], words[3], *words[4].split(":")]
    if len(numbers) != 5 or not all(n.isascii() and n.isdigit() and len(n) in (2, 4) for n in numbers):
        return None
    day, year, hour, minute, second = (int(n) for n in numbers)
    if not (1 <= day <= 31 and year >= 1970 and hour < 24 and minute < 60 and second <= 60):
        return None
    return days_since_1970(year, _MONTHS.index(words[2]) + 1, day) * 86_400 + hour * 3600 + minute * 60 + second


def redirect_host(reply: Reply) -> str:
    """The host that ``Location`` names, for a message; empty where it names none that can be shown."""
    from tailrace.config.urls import parse_url

    try:
        return parse_url(reply.headers.get("location", ""), "Location").host
    except ConfigError:
        return ""
