"""Choosing a runtime on the command line: what a user types, and what he is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.commands import run_json, tailrace
from support.emulator_extensions import shell_runtime
from support.emulator_options import write_files, zip_folder
from support.node_clients import fake_client


def test_a_zip_file_with_a_bootstrap_needs_no_option_at_all(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    shell_runtime(code)
    document = run_json(
        "free text, whatever it is", "--code", zip_folder(code, tmp_path / "orders.zip"), "--event", "[1]"
    )
    assert document["invocations"][0]["response"] == {"echo": [1]}
    assert document["environment"]["function"]["runtime"] == "provided.al2023"


def test_a_wrapper_for_a_custom_runtime_and_a_sixth_layer_get_a_warning(tmp_path: Path) -> None:
    bootstrap = shell_runtime(tmp_path)
    layers = [write_files(tmp_path / f"layer-{number}", {f"file-{number}": ""}) for number in range(6)]
    code = write_files(tmp_path / "code", {})
    wrapper = ("--env", "AWS_LAMBDA_EXEC_WRAPPER=/opt/start.sh")
    options = [word for layer in layers for word in ("--layer", layer)]
    result = tailrace("run", "x", "--code", code, "--bootstrap", bootstrap, *wrapper, *options)
    assert result.returncode == 0, result.stderr
    assert "AWS_LAMBDA_EXEC_WRAPPER has no effect" in result.stderr
    assert "6 layers are merged; Lambda allows 5" in result.stderr


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_a_client_for_node_is_found_where_it_is_named(tmp_path: Path) -> None:
    code = write_files(tmp_path / "shop", {"index.mjs": "export const handler = async (event) => event.n + 1;\n"})
    fake_client(tmp_path / "tools" / "node_modules")
    document = run_json("index.handler", "--code", code, "--node-client", tmp_path / "tools", "--event", '{"n": 1}')
    assert document["invocations"][0]["response"] == 2
    assert document["environment"]["function"]["runtime"].startswith("nodejs")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--runtime", "ruby"], "'ruby' is not one of"),
        (["--runtime", "provided"], "there is no file named bootstrap (looked in"),
        (["--runtime", "python", "--bootstrap", "/bin/true"], "--runtime says python"),
        (["--runtime", "nodejs", "--node", "/no/node"], "--node: /no/node is not an executable file"),
        (["--code", "none.zip"], "--code: none.zip does not exist"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(tmp_path: Path, options: list[str], words: str) -> None:
    write_files(tmp_path, {"app.py": "def handler(event, context): pass\n"})
    result = tailrace("run", "app.handler", *options, cwd=tmp_path)
    assert result.returncode == 2
    assert words in result.stderr
    assert result.stdout == ""
