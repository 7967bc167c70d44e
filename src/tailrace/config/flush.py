"""How `TAILRACE_FLUSH` is written, and what other extensions call the same.

Own words: ``adaptive``, ``end``, ``continuous``, ``periodic``, the last two also with milliseconds behind a comma.
Datadog's (`DD_SERVERLESS_FLUSH_STRATEGY`): ``default``, ``end``, ``end,MS``, ``periodically,MS``,
``continuously,MS`` (datadog-extension.md 3.1).
"""

from __future__ import annotations

from tailrace.config.wording import suggestion
from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "TAILRACE_FLUSH"
DATADOG_VARIABLE = "DD_SERVERLESS_FLUSH_STRATEGY"

ADAPTIVE = "adaptive"
END = "end"
PERIODIC = "periodic"
CONTINUOUS = "continuous"

_NAMES = {
    ADAPTIVE: ADAPTIVE,
    "default": ADAPTIVE,
    END: END,
    PERIODIC: PERIODIC,
    "periodically": PERIODIC,
    CONTINUOUS: CONTINUOUS,
    "continuously": CONTINUOUS,
}
_DEFAULT_INTERVALS_MS = {PERIODIC: 10_000}
_LONGEST_INTERVAL_MS = 900_000  # no invocation takes longer
_ALLOWED = "allowed: adaptive, end, continuous[,MS], periodic[,MS], with MS from 1 to 900000"


class FlushStrategy:
    """A policy's name, and for how many milliseconds lines may be collected (None where the policy says nothing of it,
    and every destination goes by its own measure)."""

    __slots__ = ("interval_ms", "policy")

    def __init__(self, policy: str = ADAPTIVE, interval_ms: int | None = None) -> None:
        self.policy = policy
        self.interval_ms = interval_ms

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FlushStrategy):
            return NotImplemented
        return (self.policy, self.interval_ms) == (other.policy, other.interval_ms)

    def __hash__(self) -> int:
        return hash((self.policy, self.interval_ms))

    def __repr__(self) -> str:
        return f"FlushStrategy({self.policy!r}, {self.interval_ms!r})"


def flush_variable(values: Mapping[str, str]) -> str:
    """The variable that says the strategy, or nothing. Ours wins over Datadog's."""
    return next((variable for variable in (VARIABLE, DATADOG_VARIABLE) if values.get(variable, "").strip()), "")


def parse_flush_strategy(text: str, variable: str = VARIABLE, instead: str = ADAPTIVE) -> FlushStrategy:
    """Both grammars, whatever the variable. Raises `ConfigError`, which says what is used `instead`."""
    word, comma, number = (part.strip() for part in text.lower().partition(","))
    policy = _NAMES.get(word)
    shown = '"' + ascii(text)[1:-1][:60] + '"'
    if policy is None:
        found = f"unknown flush policy {shown}{suggestion(word, _NAMES)}"
        raise ConfigError(variable, found, f"{_ALLOWED}; {instead} is used")
    if not comma:
        return FlushStrategy(policy, _DEFAULT_INTERVALS_MS.get(policy))
    if policy == ADAPTIVE:
        raise ConfigError(variable, f"{shown} has an interval, and {word} takes none", f"{_ALLOWED}; {instead} is used")
    is_number = number.isascii() and number.isdigit() and len(number) <= 12
    if not is_number or not 1 <= int(number) <= _LONGEST_INTERVAL_MS:
        raise ConfigError(variable, f"{shown} has no usable interval", f"{_ALLOWED}; {instead} is used")
    return FlushStrategy(policy, int(number))
