"""Tenants: who may be named, and what a function that isolates them cannot have (lambda-platform-2026.md 7)."""

from __future__ import annotations

import re

from tailrace.emulator.machine.policy import Policy
from tailrace.errors import UsageError
from tailrace.protocol.platform_events import ON_DEMAND

TENANT_ID = re.compile(r"[a-zA-Z0-9._:/=+\-@ ]{1,256}")
ALLOWED = f"1 to 256 characters of the pattern {TENANT_ID.pattern}"


def is_tenant_id(text: str) -> bool:
    return TENANT_ID.fullmatch(text) is not None


def check_tenant(tenant_id: str, *, is_isolated: bool) -> None:
    """Refuse what no invocation can be made with; empty is no tenant. Raises `UsageError`."""
    if tenant_id and not is_tenant_id(tenant_id):
        raise UsageError("--tenant-id", f'"{tenant_id}" is no tenant', f"Lambda allows {ALLOWED}")
    if is_isolated and not tenant_id:
        raise UsageError("--tenant-isolation", "no tenant is named", "add --tenant-id ID")


def check_isolation(policy: Policy) -> None:
    """Raises `UsageError` for what the service does not offer together with tenant isolation."""
    if policy.initialization_type != ON_DEMAND:
        raise UsageError(
            "--tenant-isolation",
            f"does not go with initialization_type {policy.initialization_type}",
            "Lambda isolates tenants of on-demand functions only",
        )
