from __future__ import annotations

import pytest

from tailrace.emulator.deployment.customer_environment import DUMMY_CREDENTIALS, MAX_BYTES, RESERVED, sort_variables
from tailrace.errors import UsageError


def test_without_credentials_dummies_stand_there() -> None:
    sorted_ = sort_variables({"STAGE": "test"})
    assert sorted_.variables == {"STAGE": "test"}
    assert sorted_.credentials == DUMMY_CREDENTIALS
    assert sorted_.region == "us-east-1"
    assert len(DUMMY_CREDENTIALS["AWS_ACCESS_KEY_ID"]) == 20
    assert len(DUMMY_CREDENTIALS["AWS_SECRET_ACCESS_KEY"]) == 40


def test_given_credentials_are_the_roles_and_no_dummy_is_mixed_in() -> None:
    given = {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "s"}
    sorted_ = sort_variables({**given, "AWS_DEFAULT_REGION": "eu-west-1"})
    assert sorted_.credentials == given
    assert sorted_.variables == {}
    assert sorted_.region == "eu-west-1"


def test_the_region_variable_wins_over_the_default_one() -> None:
    assert sort_variables({"AWS_DEFAULT_REGION": "a-b-1", "AWS_REGION": "c-d-2"}).region == "c-d-2"


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names_are_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is reserved"):
        sort_variables({name: "x"})


@pytest.mark.parametrize("name", ["_MINE", "1A", "A-B", "A B", "", "É2"])
def test_names_that_the_service_does_not_allow_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a variable"):
        sort_variables({name: "x"})


@pytest.mark.parametrize("name", ["MINE", "AWS_SESSION_TOKEN", "AWS_REGION"])
@pytest.mark.parametrize("value", ["a\0b", "\udcff"])
def test_values_that_no_variable_can_hold_are_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"the value of {name} is not text"):
        sort_variables({name: value})


def test_the_size_of_all_variables_is_limited() -> None:
    sort_variables({"AB": "x" * (MAX_BYTES - 2)})
    with pytest.raises(UsageError, match=r"4097 bytes.*4096"):
        sort_variables({"AB": "x" * (MAX_BYTES - 1)})


def test_no_value_stands_in_an_error() -> None:
    with pytest.raises(UsageError) as caught:
        sort_variables({"AWS_ACCESS_KEY": "very secret"})
    assert "very secret" not in str(caught.value)
