"""boto3 and the AWS CLI call the function through `serve`, as they would call Lambda."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from support.commands import TAILRACE, write_function

FUNCTION = """
import time
def handler(event, context):
    print("called with", event)
    if event.get("fail"):
        raise ValueError("asked to fail")
    time.sleep(event.get("sleep", 0))
    return {"echo": event, "client": context.client_context.custom if context.client_context else None}
"""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def serving(*arguments: str | Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A `tailrace serve` on a free port: its address and process. Ended with Ctrl-C, which it must obey."""
    command = [str(TAILRACE), "serve", *map(str, arguments), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("listening on "):
                yield line.split()[-1], process
                break
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0, rest


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    code = write_function(tmp_path_factory.mktemp("code") / "echo", FUNCTION)
    with serving("app.handler", "--code", code, "--timeout", "20") as (url, _):
        yield url


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    client = boto3.client(
        "lambda",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"max_attempts": 1}),
    )
    yield client
    client.close()


def test_request_and_response(client: Any) -> None:
    reply = client.invoke(FunctionName="echo", Payload=json.dumps({"n": 1}))

    assert reply["StatusCode"] == 200
    assert reply["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in reply
    assert json.load(reply["Payload"]) == {"echo": {"n": 1}, "client": None}


def test_log_tail_ends_with_the_report(client: Any) -> None:
    reply = client.invoke(FunctionName="echo", Payload="{}", LogType="Tail")

    tail = base64.b64decode(reply["LogResult"]).decode()
    request_id = reply["ResponseMetadata"]["RequestId"]
    assert tail.startswith(f"START RequestId: {request_id} Version: $LATEST\n")
    assert "called with {}\n" in tail
    assert f"END RequestId: {request_id}\nREPORT RequestId: {request_id}\tDuration: " in tail


def test_function_error_in_lambdas_own_form(client: Any) -> None:
    reply = client.invoke(FunctionName="echo", Payload='{"fail": true}')

    error = json.load(reply["Payload"])
    assert reply["StatusCode"] == 200
    assert reply["FunctionError"] == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "asked to fail")
    assert error["requestId"] == reply["ResponseMetadata"]["RequestId"]


def test_client_context_arrives_decoded(client: Any) -> None:
    context = base64.b64encode(json.dumps({"custom": {"tenant": "t1"}}).encode()).decode()

    reply = client.invoke(FunctionName="echo", Payload="{}", ClientContext=context)

    assert json.load(reply["Payload"])["client"] == {"tenant": "t1"}


@pytest.mark.parametrize(("kind", "status"), [("Event", 202), ("DryRun", 204)])
def test_other_invocation_types_answer_at_once_and_empty(client: Any, kind: str, status: int) -> None:
    reply = client.invoke(FunctionName="echo", Payload="{}", InvocationType=kind)

    assert reply["StatusCode"] == status
    assert reply["Payload"].read() == b""


def test_payload_that_is_not_json_is_refused_by_name(client: Any) -> None:
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke(FunctionName="echo", Payload="{nonsense")


def test_the_aws_command_line(address: str, tmp_path: Path) -> None:
    aws = Path(sys.executable).with_name("aws")
    out = tmp_path / "out.json"
    command = [str(aws), "lambda", "invoke", "--endpoint-url", address, "--function-name", "echo"]
    command += ["--payload", '{"from": "cli"}', str(out)]
    env = {**CREDENTIALS, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    result = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["StatusCode"] == 200
    assert json.loads(out.read_text())["echo"] == {"from": "cli"}


def test_a_function_that_timed_out_is_reset_and_serves_again(tmp_path: Path) -> None:
    code = write_function(tmp_path / "slow", FUNCTION)
    with serving("app.handler", "--code", code, "--timeout", "1") as (url, _):
        client = boto3.client(
            "lambda", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="a"
        )
        slow = client.invoke(FunctionName="slow", Payload='{"sleep": 30}')
        document = json.load(slow["Payload"])
        again = json.load(client.invoke(FunctionName="slow", Payload="{}")["Payload"])
        client.close()

    assert slow["FunctionError"] == "Unhandled"
    assert document["errorType"] == "Sandbox.Timedout"
    assert document["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert again["echo"] == {}
