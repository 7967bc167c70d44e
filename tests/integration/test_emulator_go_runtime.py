"""A function in Go with AWS's own library, built once into the user's cache: the commonest custom runtime."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.built_once import built_once, require_programs, run_or_skip
from support.emulator_async import run
from support.emulator_options import running, write_files, zip_folder
from support.emulator_runs import invoke
from tailrace.emulator.deployment.build import FunctionOptions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LIBRARY = "github.com/aws/aws-lambda-go"
MAIN = """package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Mode string `json:"mode"`
}

func handle(ctx context.Context, given event) (map[string]string, error) {
	known, _ := lambdacontext.FromContext(ctx)
	fmt.Println("working on", given.Mode)
	switch given.Mode {
	case "error":
		return nil, errors.New("as asked")
	case "panic":
		panic("as asked")
	}
	return map[string]string{"id": known.AwsRequestID, "handler": os.Getenv("_HANDLER")}, nil
}

func main() { lambda.Start(handle) }
"""


@pytest.fixture
def code() -> Path:
    require_programs("building a function in Go", "go")

    def build(folder: Path) -> None:
        write_files(folder, {"main.go": MAIN, "go.mod": "module example.test/function\n\ngo 1.21\n"})
        run_or_skip("getting AWS's library for Go", ["go", "get", LIBRARY], folder)
        command = ["go", "build", "-tags", "lambda.norpc", "-o", "package/bootstrap", "."]
        run_or_skip("building a function in Go", command, folder)

    return built_once("go-function", build) / "package"


def test_a_function_in_go_answers_fails_and_starts_anew_after_a_panic(tmp_path: Path, code: Path) -> None:
    options = FunctionOptions("free text", zip_folder(code, tmp_path / "orders.zip"), timeout_s=10)

    async def main() -> None:
        async with running(tmp_path, options) as (env, _):
            good = await invoke(env, b'{"mode": "answer"}')
            assert json.loads(good.answer.payload) == {"id": good.answer.request_id, "handler": "free text"}
            assert "working on answer" in [line.text for line in good.logs]
            bad = await invoke(env, b'{"mode": "error"}')
            assert bad.answer.function_error == "Unhandled"
            assert json.loads(bad.answer.payload) == {"errorMessage": "as asked", "errorType": "errorString"}
            worse = await invoke(env, b'{"mode": "panic"}')
            assert json.loads(worse.answer.payload)["errorMessage"] == "as asked"
            again = await invoke(env, b'{"mode": "answer"}')
            assert json.loads(again.answer.payload)["id"] == again.answer.request_id

    run(main())
