"""Tenants before anything is started."""

from __future__ import annotations

import pytest

from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.servers.tenancy import check_isolation, check_tenant
from tailrace.errors import UsageError


def test_who_may_call() -> None:
    check_tenant("", is_isolated=False)
    check_tenant("t-1", is_isolated=False)
    check_tenant("t-1", is_isolated=True)
    with pytest.raises(UsageError, match="--tenant-isolation: no tenant is named; add --tenant-id ID"):
        check_tenant("", is_isolated=True)
    for bad in ("a,b", "x" * 257, "a\tb"):
        with pytest.raises(UsageError, match=r"--tenant-id: .*is no tenant; Lambda allows 1 to 256 characters"):
            check_tenant(bad, is_isolated=True)


def test_isolation_is_for_environments_on_demand() -> None:
    check_isolation(Policy())
    with pytest.raises(UsageError, match="does not go with initialization_type provisioned-concurrency"):
        check_isolation(Policy(initialization_type="provisioned-concurrency"))
