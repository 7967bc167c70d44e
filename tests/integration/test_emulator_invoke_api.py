from __future__ import annotations

import asyncio
import base64
import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from support.emulator_async import run, until
from support.emulator_runs import environment
from tailrace.emulator.servers.invoke_server import InvokeServer
from tailrace.errors import EnvironmentStartError

SOURCE = """
import time
calls = []
def handler(event, context):
    calls.append(event)
    print("called with", event)
    if event == "raise":
        raise ValueError("as asked")
    if event == "calls":
        return calls
    if event == "long":
        print("y" * 6000)
    if isinstance(event, dict) and "sleep" in event:
        time.sleep(event["sleep"])
    custom = context.client_context and context.client_context.custom
    identity = context.identity and context.identity.cognito_identity_id
    who = {"identity": identity, "tenant": getattr(context, "tenant_id", None)}
    return {"event": event, "arn": context.invoked_function_arn, "id": context.aws_request_id, "custom": custom, **who}
"""


@contextmanager
def served(tmp_path: Path, **options: Any) -> Iterator[str]:
    """An environment behind the Invoke API, in a thread of its own; gives its URL."""
    ready: list[str] = []
    is_ready = threading.Event()
    loop_and_end: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        end = asyncio.Event()
        loop_and_end.append((asyncio.get_running_loop(), end))
        function = {name: options.pop(name) for name in ("timeout_s", "tenant_isolation") if name in options}
        async with environment(tmp_path, SOURCE, **function) as (env, _):
            server = InvokeServer(env, port=0, **options)
            await server.start()
            ready.append(server.url)
            is_ready.set()
            await end.wait()
            await server.stop()

    thread = threading.Thread(target=run, args=(serve(), 60))
    thread.start()
    try:
        assert is_ready.wait(20)
        yield ready[0]
    finally:
        loop, end = loop_and_end[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(20)


@contextmanager
def client(url: str, **config: Any) -> Iterator[Any]:
    made: Any = boto3.client(
        "lambda",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
        config=Config(retries={"max_attempts": 0}, **config),
    )
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("invoke")) as url:
        yield url


def test_boto3_calls_the_function_and_gets_its_answer(url: str) -> None:
    with client(url) as lambda_:
        response = lambda_.invoke(FunctionName="shop", Payload=b'{"a": 1}')
        document = json.loads(response["Payload"].read())
        assert response["StatusCode"] == 200
        assert response["ExecutedVersion"] == "$LATEST"
        assert "FunctionError" not in response
        assert document["event"] == {"a": 1}
        assert document["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:shop"
        assert document["id"] == response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("name", "qualifier", "ending"),
    [
        ("arn:aws:lambda:us-east-1:123456789012:function:shop", None, ":shop"),
        ("arn:aws:lambda:us-east-1:123456789012:function:shop:live", None, ":shop:live"),
        ("123456789012:function:shop", "$LATEST", ":shop:$LATEST"),
        ("any-name-at-all", "7", ":shop:7"),
    ],
)
def test_every_form_of_a_function_name_is_understood(url: str, name: str, qualifier: str | None, ending: str) -> None:
    with client(url) as lambda_:
        extra = {"Qualifier": qualifier} if qualifier else {}
        document = json.loads(lambda_.invoke(FunctionName=name, **extra)["Payload"].read())
        assert document["arn"].endswith(ending)
        assert document["event"] == {}


def test_a_function_error_and_the_tail_of_the_log(url: str) -> None:
    with client(url) as lambda_:
        response = lambda_.invoke(FunctionName="shop", Payload=b'"raise"', LogType="Tail")
        assert response["FunctionError"] == "Unhandled"
        assert response["StatusCode"] == 200
        assert json.loads(response["Payload"].read())["errorType"] == "ValueError"
        log = base64.b64decode(response["LogResult"]).decode().splitlines()
        request_id = response["ResponseMetadata"]["RequestId"]
        assert log[0] == f"START RequestId: {request_id} Version: $LATEST"
        assert "called with raise" in log
        assert log[-2] == f"END RequestId: {request_id}"
        assert log[-1].startswith(f"REPORT RequestId: {request_id}\t")
        long = lambda_.invoke(FunctionName="shop", Payload=b'"long"', LogType="Tail")
        tail = base64.b64decode(long["LogResult"])
        assert len(tail) == 4096
        assert b"REPORT RequestId" in tail


def test_client_context_arrives_decoded(url: str) -> None:
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    with client(url) as lambda_:
        response = lambda_.invoke(FunctionName="shop", ClientContext=context)
        assert json.loads(response["Payload"].read())["custom"] == {"k": "v"}


def test_event_is_accepted_at_once_and_run_later_and_dry_run_runs_nothing(url: str) -> None:
    with client(url) as lambda_:
        assert lambda_.invoke(FunctionName="shop", InvocationType="DryRun", Payload=b'"dry"')["StatusCode"] == 204
        response = lambda_.invoke(FunctionName="shop", InvocationType="Event", Payload=b'"async"')
        assert response["StatusCode"] == 202
        assert response["Payload"].read() == b""
        calls = json.loads(lambda_.invoke(FunctionName="shop", Payload=b'"calls"')["Payload"].read())
        assert "async" in calls
        assert "dry" not in calls


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"Payload": b"{not json"}, 400, "InvalidRequestContentException"),
        ({"Payload": b'"' + b"x" * 6_291_456 + b'"'}, 413, "RequestTooLargeException"),
        ({"Payload": b'"' + b"x" * 1_048_576 + b'"', "InvocationType": "Event"}, 413, "RequestTooLargeException"),
        ({"ClientContext": "%%%"}, 400, "InvalidRequestContentException"),
        ({"ClientContext": "A" * 3584}, 400, "InvalidRequestContentException"),
        ({"FunctionName": "shop:1", "Qualifier": "2"}, 400, "InvalidParameterValueException"),
    ],
)
def test_what_the_service_refuses_is_refused_with_its_words(
    url: str, arguments: dict[str, Any], status: int, code: str
) -> None:
    with client(url) as lambda_, pytest.raises(ClientError) as caught:
        lambda_.invoke(**{"FunctionName": "shop", **arguments})
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert caught.value.response["Error"]["Message"]


def test_a_cognito_identity_reaches_the_function(url: str) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    headers = {"X-Amz-Cognito-Identity": '{"cognitoIdentityId":"i-1","cognitoIdentityPoolId":"p-1"}'}
    connection.request("POST", "/2015-03-31/functions/shop/invocations", b"{}", headers)
    assert json.loads(connection.getresponse().read())["identity"] == "i-1"
    connection.close()


def test_a_function_that_isolates_tenants_serves_one_and_wants_it_named(tmp_path: Path) -> None:
    def refused(**arguments: str) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            lambda_.invoke(FunctionName="shop", **arguments)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    with served(tmp_path, tenant_isolation=True) as url, client(url) as lambda_:
        assert refused() == (
            "InvalidParameterValueException",
            "The invoked function is enabled with tenancy configuration. "
            "Add a valid tenant ID in your request and try again.",
        )
        assert lambda_.invoke(FunctionName="shop", TenantId="b", InvocationType="DryRun")["StatusCode"] == 204
        for _ in range(2):
            reply = lambda_.invoke(FunctionName="shop", TenantId="a")
            assert json.loads(reply["Payload"].read())["tenant"] == "a"
        code, message = refused(TenantId="b")
        assert code == "TooManyRequestsException"
        assert "serves another tenant" in message
        assert lambda_.invoke(FunctionName="shop", TenantId="a", InvocationType="Event")["StatusCode"] == 202


def test_other_operations_are_not_found(url: str) -> None:
    with client(url) as lambda_, pytest.raises(ClientError) as caught:
        lambda_.list_functions()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_a_full_queue_answers_429_and_the_others_run_one_by_one(tmp_path: Path) -> None:
    with served(tmp_path, max_waiting=1) as url, client(url, max_pool_connections=8) as lambda_:
        outcomes: list[object] = []

        def call(payload: bytes) -> None:
            try:
                outcomes.append(lambda_.invoke(FunctionName="shop", Payload=payload)["StatusCode"])
            except ClientError as error:
                outcomes.append(error.response["Error"]["Code"])

        threads = [threading.Thread(target=call, args=(b'{"sleep": 0.5}',)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(map(str, outcomes)) == ["200", "200", "TooManyRequestsException", "TooManyRequestsException"]


def test_the_aws_command_line_invokes_it(url: str, tmp_path: Path) -> None:
    aws = Path(sys.executable).with_name("aws")
    out = tmp_path / "out.json"
    command = [str(aws), "lambda", "invoke", "--endpoint-url", url, "--function-name", "shop", str(out)]
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    result = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["StatusCode"] == 200
    assert json.loads(out.read_text())["event"] == {}


def test_a_caller_that_leaves_does_not_stop_its_invocation(url: str) -> None:
    async def main() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        body = b'"left alone"'
        writer.write(
            b"POST /2015-03-31/functions/shop/invocations HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        await writer.drain()
        writer.close()

    run(main())
    with client(url) as lambda_:
        calls = json.loads(lambda_.invoke(FunctionName="shop", Payload=b'"calls"')["Payload"].read())
        assert "left alone" in calls


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with environment(tmp_path, SOURCE, start=False) as (env, _):
            first = InvokeServer(env, port=0)
            await first.start()
            port = int(first.url.rpartition(":")[2])
            with pytest.raises(EnvironmentStartError, match=r"address already in use.*choose another port"):
                await InvokeServer(env, port=port).start()
            await first.stop()
            await until(lambda: True)

    run(main())
