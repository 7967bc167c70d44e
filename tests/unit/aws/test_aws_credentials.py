from __future__ import annotations

import pytest

from tailrace.aws.credentials import Credentials, credentials_source, environment_credentials
from tailrace.aws.endpoints import configured_endpoint, configured_region, dns_suffix
from tailrace.errors import ConfigError


def test_the_environments_keys_are_taken_fresh_each_time() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": " b\n", "AWS_SESSION_TOKEN": "c"}
    source = credentials_source(environ)
    keys = source(0.0)
    assert (keys.access_key_id, keys.secret_access_key, keys.session_token) == ("a", "b", "c")
    environ["AWS_ACCESS_KEY_ID"] = "z"
    assert source(0.0).access_key_id == "z"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "neither AWS_ACCESS_KEY_ID nor AWS_SECRET_ACCESS_KEY is set"),
        ({"AWS_ACCESS_KEY_ID": "hunter2"}, "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not"),
        ({"AWS_SECRET_ACCESS_KEY": "hunter2"}, "AWS_SECRET_ACCESS_KEY is set but AWS_ACCESS_KEY_ID is not"),
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hunter2\r\nX: y"}, "control"),
    ],
)
def test_missing_or_broken_keys_are_named_with_a_remedy(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        environment_credentials(environ)
    assert said in str(caught.value)
    assert caught.value.remedy
    assert "hunter2" not in str(caught.value)


def test_reprs_hide_keys() -> None:
    assert repr(Credentials("a", "b", "c")) == "Credentials(***)"


def test_the_more_specific_endpoint_and_region_win() -> None:
    both = {"AWS_ENDPOINT_URL_S3": "http://s3", "AWS_ENDPOINT_URL": "http://all"}
    assert configured_endpoint(both, "S3") == ("http://s3", "AWS_ENDPOINT_URL_S3")
    assert configured_endpoint({"AWS_ENDPOINT_URL": "http://all"}, "S3") == ("http://all", "AWS_ENDPOINT_URL")
    assert configured_endpoint({**both, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "S3") == ("", "")
    assert configured_endpoint({}, "S3") == ("", "")
    assert configured_region({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}) == ("a", "AWS_REGION")
    assert configured_region({"AWS_REGION": " ", "AWS_DEFAULT_REGION": "b"}) == ("b", "AWS_DEFAULT_REGION")
    assert [dns_suffix(region) for region in ("eu-west-1", "cn-north-1")] == ["amazonaws.com", "amazonaws.com.cn"]
