"""How Node.js is started, with stand-ins for AWS's client; the client itself is in another file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from support.emulator_async import run
from support.emulator_options import running, write_files, zip_folder
from support.emulator_runs import invoke
from support.node_clients import fake_client
from tailrace.emulator.deployment.build import FunctionOptions

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")

TELL = """export const handler = async (event) => ({
  event,
  arguments: process.argv.slice(2),
  leaked: Object.keys(process.env).filter((name) => name.includes("TAILRACE")),
  execution: process.env.AWS_EXECUTION_ENV,
  heapLimited: process.execArgv.some((option) => option.startsWith("--max-old-space-size=")),
});
"""
IN_LAYER = """const packed = require("packed");
exports.handler = async () => packed.name;
"""


def answer(tmp_path: Path, options: FunctionOptions, payload: bytes = b"{}") -> Any:
    async def main() -> Any:
        async with running(tmp_path, options) as (env, _):
            return json.loads((await invoke(env, payload)).answer.payload)

    return run(main())


@pytest.mark.parametrize("version", ["3.3.0", "4.0.2"])
def test_a_client_of_either_kind_runs_the_handler_and_sees_nothing_of_ours(tmp_path: Path, version: str) -> None:
    code = write_files(tmp_path / "shop", {"index.mjs": TELL})
    fake_client(code / "node_modules", version)
    told = answer(tmp_path, FunctionOptions("index.handler", code, timeout_s=20), b'{"n": 1}')
    assert told["event"] == {"n": 1}
    assert told["arguments"] == ["index.handler"]
    assert told["leaked"] == []
    assert told["execution"].startswith("AWS_Lambda_nodejs")
    assert told["heapLimited"]


def test_a_zip_file_and_a_layer_with_modules(tmp_path: Path) -> None:
    code = write_files(tmp_path / "shop", {"index.js": IN_LAYER})
    layer = write_files(
        tmp_path / "layer", {"nodejs/node_modules/packed/index.js": "exports.name = 'from the layer';\n"}
    )
    fake_client(layer / "nodejs" / "node_modules")
    options = FunctionOptions(
        "index.handler", zip_folder(code, tmp_path / "shop.zip"), layers=[zip_folder(layer, tmp_path / "layer.zip")]
    )
    assert answer(tmp_path, options) == "from the layer"


@pytest.mark.parametrize("version", ["3.3.0", "4.0.2"])
def test_a_wrapper_may_change_the_handler_before_the_client_reads_it(tmp_path: Path, version: str) -> None:
    wrapper = '#!/bin/sh\nexport _HANDLER=other.handler\nexec "$@"\n'
    other = "export const handler = async () => 'the other';\n"
    code = write_files(tmp_path / "shop", {"index.mjs": TELL, "other.mjs": other, "start": wrapper})
    fake_client(code / "node_modules", version)
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/start"}
    assert answer(tmp_path, FunctionOptions("index.handler", code, variables=variables)) == "the other"
