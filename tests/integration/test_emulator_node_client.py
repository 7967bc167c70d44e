"""AWS's own client for Node.js runs functions here. It is installed by npm, once, into the user's cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.emulator_async import run
from support.emulator_options import running, write_files
from support.emulator_runs import Story, invoke
from support.npm_cache import installed_client
from tailrace.emulator.deployment.build import FunctionOptions
from tailrace.emulator.observer import InvocationResult

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

INDEX = """\
export const echo = async (event, context) => {
  console.log("working", event.n);
  console.warn("be careful");
  return { event, id: context.awsRequestId, arn: context.invokedFunctionArn, left: context.getRemainingTimeInMillis() };
};
export const fail = async () => { throw new TypeError("as asked"); };
export const callback = (event, context, done) => done(event.fail ? new RangeError("by callback") : null, { event });
export const die = async () => process.exit(3);
export const nothing = async () => {};
"""
COMMON = """const { readFileSync } = require("node:fs");
exports.handler = async () => readFileSync(`${process.env.LAMBDA_TASK_ROOT}/data.txt`, "utf8");
"""


@pytest.fixture(params=["4", "3"])
def client(request: pytest.FixtureRequest) -> Path:
    return installed_client(request.param)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return write_files(tmp_path / "shop", {"index.mjs": INDEX, "src/common.js": COMMON, "data.txt": "text"})


def invoked(
    tmp_path: Path, code: Path, client: Path, handler: str, *payloads: bytes, log_format: str = "text"
) -> tuple[list[InvocationResult], Story]:
    options = FunctionOptions(handler, code, node_client=client, timeout_s=20, log_format=log_format)

    async def main() -> tuple[list[InvocationResult], Story]:
        async with running(tmp_path, options) as (env, story):
            return [await invoke(env, payload) for payload in payloads], story

    return run(main())


def answer(result: InvocationResult) -> Any:
    return json.loads(result.answer.payload)


def test_a_handler_gets_its_event_and_context_again_and_again(tmp_path: Path, code: Path, client: Path) -> None:
    results, _ = invoked(tmp_path, code, client, "index.echo", b'{"n": 1}', '{"n": "ä"}'.encode())
    for result, n in zip(results, (1, "ä"), strict=True):
        told = answer(result)
        assert told["event"] == {"n": n}
        assert told["id"] == result.answer.request_id
        assert told["arn"].endswith(":function:shop")
        assert 0 < told["left"] <= 20_000
        lines = [line.text for line in result.logs]
        assert any(line.endswith(f"\t{told['id']}\tINFO\tworking {n}") for line in lines)
        assert any(line.endswith("\tWARN\tbe careful") for line in lines)


def test_an_error_is_answered_and_the_next_event_is_served(tmp_path: Path, code: Path, client: Path) -> None:
    results, _ = invoked(tmp_path, code, client, "index.fail", b"{}", b"{}")
    for result in results:
        assert result.answer.function_error == "Unhandled"
        assert answer(result)["errorType"] == "TypeError"
        assert answer(result)["errorMessage"] == "as asked"
        assert result.report is not None
        assert result.report.error_type == ""


def test_callbacks_work_up_to_the_version_that_refuses_them(tmp_path: Path, code: Path, client: Path) -> None:
    results, _ = invoked(tmp_path, code, client, "index.callback", b"{}", b'{"fail": true}')
    good, bad = map(answer, results)
    if "aws-lambda-ric-3" in client.name:
        assert good == {"event": {}}
        assert (bad["errorType"], bad["errorMessage"]) == ("RangeError", "by callback")
    else:
        assert good["errorType"] == "Runtime.CallbackHandlerDeprecated"


def test_a_commonjs_module_below_the_code_is_found(tmp_path: Path, code: Path, client: Path) -> None:
    assert answer(invoked(tmp_path, code, client, "src/common.handler", b"{}")[0][0]) == "text"


def test_a_function_that_returns_nothing_answers_null(tmp_path: Path, code: Path, client: Path) -> None:
    assert invoked(tmp_path, code, client, "index.nothing", b"{}")[0][0].answer.payload == b"null"


def test_what_is_not_exported_is_told_by_the_client(tmp_path: Path, code: Path, client: Path) -> None:
    results, _ = invoked(tmp_path, code, client, "index.none", b"{}")
    assert answer(results[0])["errorType"] == "Runtime.HandlerNotFound"


def test_a_process_that_exits_is_told_as_on_lambda(tmp_path: Path, code: Path, client: Path) -> None:
    results, _ = invoked(tmp_path, code, client, "index.die", b"{}")
    assert answer(results[0])["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in answer(results[0])["errorMessage"]


def test_with_the_json_format_every_line_is_an_object(tmp_path: Path, code: Path, client: Path) -> None:
    results, _ = invoked(tmp_path, code, client, "index.echo", b'{"n": 5}', log_format="json")
    objects = [json.loads(line.text) for line in results[0].logs]
    (working,) = [entry for entry in objects if entry.get("message") == "working 5"]
    assert working["level"] == "INFO"
    assert working["requestId"] == results[0].answer.request_id
