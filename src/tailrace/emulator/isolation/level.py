"""The levels of isolation: how far an environment's processes are kept apart from this machine."""

from __future__ import annotations

from dataclasses import dataclass

AUTO, PROCESS, NAMESPACE = "auto", "process", "namespace"
LEVELS = (AUTO, PROCESS, NAMESPACE)
DEFAULT = AUTO


@dataclass(frozen=True, slots=True)
class Isolation:
    """`level` is ``process`` or ``namespace``. `missing` is what this machine does not allow, where that made `auto`
    settle for less. `is_chosen` is false for `auto`. `no_user` is why processes in namespaces have no user of their own
    and are the caller, without capabilities; empty where they are `sbx_user1051`."""

    level: str = PROCESS
    missing: str = ""
    is_chosen: bool = True
    no_user: str = ""

    @property
    def has_namespaces(self) -> bool:
        return self.level == NAMESPACE

    def __str__(self) -> str:
        """For a headline: what is in force, and why it is not more."""
        if self.no_user:
            return f"{self.level} isolation as you, without capabilities (not allowed here: {self.no_user})"
        return f"{self.level} isolation" + (f" (not allowed here: {self.missing})" if self.missing else "")
