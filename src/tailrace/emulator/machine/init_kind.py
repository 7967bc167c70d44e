"""How an environment came to be, and what follows from it (lambda-platform.md 4.2, 4.8)."""

from __future__ import annotations

from tailrace.emulator.function import FunctionConfig
from tailrace.protocol.platform_events import ON_DEMAND

_PROVISIONED_LEAST_MS = 130_000
_PROVISIONED_MOST_MS = 900_000


def init_limit_ms(config: FunctionConfig) -> float:
    """Seconds on demand, minutes ahead of demand."""
    if config.policy.initialization_type == ON_DEMAND:
        return config.policy.init_timeout_ms
    return min(max(_PROVISIONED_LEAST_MS, config.timeout_s * 1000), _PROVISIONED_MOST_MS)


def belongs_to_first_invocation(config: FunctionConfig) -> bool:
    """Whether the first report tells the init and bills it; one that ran ahead is told by itself."""
    return config.policy.initialization_type == ON_DEMAND
