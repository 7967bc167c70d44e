"""The variables of the processes."""

from __future__ import annotations

from pathlib import Path

from support.machine_world import config
from tailrace.emulator.isolation.level import NAMESPACE, Isolation
from tailrace.emulator.machine.environ import (
    HIDDEN_FROM_EXTENSIONS,
    SandboxNames,
    extension_environ,
    log_stream_name,
    runtime_environ,
)

STREAM = "2026/01/02/[$LATEST]00"
SANDBOX = SandboxNames("127.0.0.1:9001", STREAM, "metadata-token", "credentials-token")


def test_the_runtime_sees_what_lambda_sets() -> None:
    seen = runtime_environ(config(credentials={"AWS_ACCESS_KEY_ID": "AKID"}), SANDBOX)
    assert seen["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:9001"
    assert seen["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert seen["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert (seen["AWS_REGION"], seen["AWS_DEFAULT_REGION"]) == ("us-east-1", "us-east-1")
    assert (seen["_HANDLER"], seen["LAMBDA_TASK_ROOT"]) == ("app.run", "/code")
    assert seen["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/billing"
    assert seen["AWS_LAMBDA_LOG_STREAM_NAME"] == STREAM
    assert seen["PATH"] == "/usr/local/bin:/usr/bin:/bin:/opt/bin"
    assert seen["TZ"] == ":UTC"
    assert seen["AWS_ACCESS_KEY_ID"] == "AKID"
    assert "AWS_LAMBDA_LOG_FORMAT" not in seen


def test_extensions_do_not_see_the_ten_hidden_variables_nor_underscores() -> None:
    function = config(environment={"MINE": "1", "_PRIVATE": "2"})
    runtime = runtime_environ(function, SANDBOX)
    seen = extension_environ(function, SANDBOX, {"TAILRACE_LISTEN_HOST": "127.0.0.1"})
    assert len(HIDDEN_FROM_EXTENSIONS) == 10
    assert set(runtime) - set(seen) == HIDDEN_FROM_EXTENSIONS | {"_PRIVATE"}
    assert set(seen) - set(runtime) == {"TAILRACE_LISTEN_HOST"}


def test_the_customer_overrides_what_is_not_reserved_and_nothing_else() -> None:
    function = config(environment={"TZ": "Europe/Berlin", "AWS_REGION": "mars", "TAILRACE_LISTEN_HOST": "0.0.0.0"})
    seen = extension_environ(function, SANDBOX, {"TAILRACE_LISTEN_HOST": "127.0.0.1"})
    assert (seen["TZ"], seen["AWS_REGION"], seen["TAILRACE_LISTEN_HOST"]) == ("Europe/Berlin", "us-east-1", "0.0.0.0")


def test_layers_and_json_logs_have_their_variables() -> None:
    seen = runtime_environ(config(opt_dir=Path("/layers"), log_format="JSON"), SANDBOX)
    assert seen["PATH"].endswith(":/layers/bin")
    assert seen["LD_LIBRARY_PATH"] == "/code:/code/lib:/layers/lib"
    assert "PYTHONPATH" not in seen
    assert (seen["AWS_LAMBDA_LOG_FORMAT"], seen["AWS_LAMBDA_LOG_LEVEL"]) == ("JSON", "INFO")


def test_a_custom_runtime_has_no_execution_env() -> None:
    assert "AWS_EXECUTION_ENV" not in runtime_environ(config(execution_env=""), SANDBOX)


def test_the_log_stream_has_the_date_the_version_and_32_digits() -> None:
    name = log_stream_name(config(), "2026-01-02T03:04:05.678Z", "AABB-01")
    assert name == "2026/01/02/[$LATEST]aabb01" + "0" * 26


def test_in_namespaces_every_place_is_lambdas() -> None:
    seen = runtime_environ(config(isolation=Isolation(NAMESPACE), opt_dir=Path("/somewhere/opt")), SANDBOX)
    assert (seen["LAMBDA_TASK_ROOT"], seen["LAMBDA_RUNTIME_DIR"]) == ("/var/task", "/var/runtime")
    assert seen["PATH"] == "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"
    assert seen["LD_LIBRARY_PATH"] == "/var/lang/lib:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
