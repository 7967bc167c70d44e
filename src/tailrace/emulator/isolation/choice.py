"""Which level of isolation is in force: what was asked for, as far as this machine allows it."""

from __future__ import annotations

from tailrace.emulator.isolation.level import AUTO, NAMESPACE, PROCESS, Isolation
from tailrace.emulator.isolation.namespace import NamespaceRefusedError, Namespaces
from tailrace.errors import UsageError


def choose(requested: str, namespaces: Namespaces | None) -> Isolation:
    """Settle what was asked for. `namespaces` were begun for it, unless only `process` will do.

    Raises `UsageError` when `namespace` was asked for and is not to be had.
    """
    if namespaces is None:
        return Isolation()
    try:
        namespaces.wait_until_ready()
    except NamespaceRefusedError as error:
        if requested == AUTO:
            return Isolation(PROCESS, str(error), is_chosen=False)
        raise UsageError(
            "--isolation",
            f"this machine does not allow namespace isolation: no {error.missing} ({error.reason})",
            '"tailrace doctor" says what to do; --isolation process works everywhere',
        ) from None
    return Isolation(NAMESPACE, is_chosen=requested != AUTO, no_user=namespaces.no_user)


def what_is_missing() -> str:
    """Why this machine does not allow namespace isolation; empty where it does. Takes some 20 ms."""
    return attempt().missing


def attempt() -> Isolation:
    """What this machine allows, found by doing it."""
    namespaces = Namespaces()
    try:
        return choose(AUTO, namespaces)
    finally:
        namespaces.close()
