"""Which envelopes are wanted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tailrace.errors import UsageError
from tailrace.replay.envelope import Envelope

_AGE = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Selection:
    """An empty part asks for nothing. `reasons` are words, or parts of what the destination said; `since_ms` is the
    first millisecond that counts, `until_ms` the first that does not."""

    reasons: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    request_ids: tuple[str, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None

    def wants(self, envelope: Envelope) -> bool:
        return (
            self._has_reason(envelope)
            and _among((envelope.destination,), self.destinations)
            and _among((envelope.function_name,), self.functions)
            and _among(envelope.request_ids, self.request_ids)
            and (self.since_ms is None or envelope.time_ms >= self.since_ms)
            and (self.until_ms is None or envelope.time_ms < self.until_ms)
        )

    def _has_reason(self, envelope: Envelope) -> bool:
        error = envelope.error.lower()
        return not self.reasons or any(one == envelope.reason or one.lower() in error for one in self.reasons if one)


def _among(found: Sequence[str], wanted: tuple[str, ...]) -> bool:
    return not wanted or any(item in wanted for item in found)


def moment_ms(text: str, option: str, now_s: float) -> int:
    """``2026-11-20``, ``2026-11-20T21:30:00Z``, or an age before `now_s` like ``90m``, in milliseconds since 1970.

    Times without a zone are UTC. Raises `UsageError` about `option`.
    """
    age = _AGE.fullmatch(text)
    if age is not None:
        return int((now_s - int(age[1]) * _SECONDS[age[2]]) * 1000)
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        remedy = "write a time like 2026-11-20T21:30:00Z, a day like 2026-11-20, or an age like 90m, 24h or 7d"
        raise UsageError(option, f"{text[:40]!r} is no time", remedy) from None
