"""Policies by name: what may be given, what is refused and how, and the table for people."""

from __future__ import annotations

import dataclasses

import pytest

from tailrace.emulator.machine.policy import Policy, policy_table
from tailrace.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("init_timeout_ms", "5000", 5000),
        ("init_timeout_ms", 5000, 5000),
        ("shutdown_runtime_share", "0.15", 0.15),
        ("shutdown_runtime_share", 1, 1),
        ("bill_init", "False", False),
        ("bill_init", False, False),
        ("handled_error_status", "error", "error"),
        ("availability_zone_id", "euc1-az3", "euc1-az3"),
        ("telemetry_retry_delays_ms", "50, 100", (50, 100)),
        ("telemetry_retry_delays_ms", [50, 100], (50, 100)),
        ("telemetry_retry_delays_ms", "", ()),
    ],
)
def test_a_value_may_be_a_text_or_of_its_own_kind(name: str, given: object, value: object) -> None:
    changed = Policy().parse(name, given)
    assert getattr(changed, name) == value
    assert dataclasses.replace(changed, **{name: getattr(Policy(), name)}) == Policy()


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("init_timeout", 1, "policy init_timeout: no such policy; did you mean init_timeout_ms?"),
        ("init_timeout_ms", "soon", "policy init_timeout_ms: soon is not a whole number of at least 1"),
        ("init_timeout_ms", 0, "policy init_timeout_ms: 0 is not a whole number of at least 1"),
        ("init_timeout_ms", 1.5, "policy init_timeout_ms: 1.5 is not a whole number of at least 1"),
        ("init_timeout_ms", True, "policy init_timeout_ms: true is not a whole number of at least 1"),
        ("shutdown_runtime_share", "1.5", "policy shutdown_runtime_share: 1.5 is not a number from 0 to 1"),
        ("shutdown_runtime_share", "nan", "policy shutdown_runtime_share: nan is not a number from 0 to 1"),
        ("bill_init", "yes", "policy bill_init: yes is not true or false"),
        ("bill_init", 1, "policy bill_init: 1 is not true or false"),
        ("handled_error_status", "fine", "policy handled_error_status: fine is not one of success, error"),
        ("availability_zone_id", 3, "policy availability_zone_id: 3 is not a text"),
        ("telemetry_retry_delays_ms", [1, "x"], "1,x is not whole numbers of at least 0, in order"),
        ("telemetry_retry_delays_ms", 3, "3 is not whole numbers of at least 0, in order"),
    ],
)
def test_what_is_wrong_is_told_with_what_is_allowed(name: str, given: object, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Policy().parse(name, given)
    assert says in str(caught.value)


def test_a_name_like_no_other_is_told_all_there_are() -> None:
    with pytest.raises(ConfigError, match=r"there are .*bill_init, .*wrapped_lines_carry_request_id"):
        Policy().parse("xyzzy", 1)


def test_every_policy_has_a_row_and_its_default_is_a_value_that_may_be_given() -> None:
    rows = policy_table()
    assert [row.name for row in rows] == [field.name for field in dataclasses.fields(Policy)]
    for row in rows:
        assert row.meaning
        assert row.allowed
        assert row.source.startswith("lambda-platform")
        given = "" if row.default == '""' else row.default
        assert Policy().parse(row.name, given) == Policy()
