"""Policies and tenants as users set them: on the command line, in a file, in a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import run_json, tailrace, write_function
from support.emulator_runs import executable
from tailrace.errors import ConfigError
from tailrace.testing import LambdaEnvironment

SOURCE = """
import os
def handler(event, context):
    if event == "raise":
        raise ValueError("as asked")
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], getattr(context, "tenant_id", None)]
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return write_function(tmp_path / "shop", SOURCE)


def test_a_policy_of_the_command_line_holds(code: Path) -> None:
    document = run_json("app.handler", "--code", code, "--policy", "initialization_type=provisioned-concurrency")
    assert document["invocations"][0]["response"][0] == "provisioned-concurrency"
    assert document["invocations"][0].get("initDurationMs") is None


def test_a_policy_of_the_file_beside_holds_and_the_command_line_comes_after_it(code: Path, tmp_path: Path) -> None:
    (tmp_path / "tailrace.toml").write_text('[emulator.policy]\ninitialization_type = "provisioned-concurrency"\n')
    given = ("app.handler", "--code", code)
    assert run_json(*given, cwd=tmp_path)["invocations"][0]["response"][0] == "provisioned-concurrency"
    overridden = run_json(*given, "--policy", "initialization_type=on-demand", cwd=tmp_path)
    assert overridden["invocations"][0]["response"][0] == "on-demand"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--policy", "bil_init=true"], "--policy bil_init: no such policy"),
        (["--policy", "bill_init=perhaps"], "--policy bill_init: perhaps is not true or false"),
        (["--config", "missing.toml"], "missing.toml: cannot be read"),
        (["--tenant-isolation"], "--tenant-isolation: no tenant is named"),
        (["--tenant-id", "a,b"], '--tenant-id: "a,b" is no tenant'),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_starts(code: Path, arguments: list[str], says: str) -> None:
    result = tailrace("run", "app.handler", "--code", code, *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("tailrace: ")
    assert says in result.stderr


def test_a_tenant_of_the_command_line_reaches_the_function(code: Path) -> None:
    document = run_json("app.handler", "--code", code, "--tenant-isolation", "--tenant-id", "t-1")
    assert document["invocations"][0]["response"][1] == "t-1"


def test_the_command_line_says_that_a_layer_switches_extensions_off(code: Path, tmp_path: Path) -> None:
    extension = executable(tmp_path / "shipper", "#!/bin/sh\nexit 1\n")
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "disable-extensions-jwigqn8j").touch()
    result = tailrace("run", "app.handler", "--code", code, "--extension", extension, "--layer", layer)
    assert result.returncode == 0, result.stderr
    assert "a layer switches extensions off (disable-extensions-jwigqn8j); none is started" in result.stderr
    assert "EXTENSION" not in result.stdout


def test_a_test_sets_policies_and_tenants(code: Path) -> None:
    policy = {"handled_error_status": "error"}
    with LambdaEnvironment("app.handler", code=code, tenant_isolation=True, policy=policy) as env:
        assert env.invoke({}, tenant_id="t-1").payload == ["on-demand", "t-1"]
        failed = env.invoke("raise", tenant_id="t-1")
        assert "Status: error" in failed.report_line
        assert env.invoke({}, tenant_id="t-2").error is not None
    with pytest.raises(ConfigError, match="policy bill_inti: no such policy; did you mean bill_init"):
        LambdaEnvironment("app.handler", code=code, policy={"bill_inti": True})
