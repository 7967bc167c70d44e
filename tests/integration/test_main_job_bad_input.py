"""Everything wrong that a user may give gets one clear sentence, a remedy, and the right exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import run_json, tailrace, variables, write_function

FUNCTION = "def handler(event, context):\n    return event\n"
USAGE = 2


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return write_function(tmp_path / "shop", FUNCTION)


def told(result_stderr: str) -> str:
    """The error, after checking that it is short and no traceback."""
    assert "Traceback" not in result_stderr
    assert result_stderr.startswith("tailrace: ")
    assert len(result_stderr.splitlines()) <= 3
    return result_stderr


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        ("app.handlr", ['module app has no attribute "handlr"', 'did you mean "handler"?', "app.py"]),
        ("ap.handler", ['there is no module "ap"', 'did you mean "app"?']),
        ("handler", ["module.function"]),
    ],
)
def test_wrong_handler(code: Path, handler: str, words: list[str]) -> None:
    result = tailrace("run", handler, "--code", code)

    assert result.returncode == USAGE
    assert all(word in told(result.stderr) for word in words)


def test_syntax_error_in_the_function(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", "def handler(event, context):\n    return (\n")

    result = tailrace("run", "app.handler", "--code", code)

    assert result.returncode == USAGE
    assert "app.py, line 2: syntax error" in told(result.stderr)


def test_event_that_is_not_json(code: Path) -> None:
    result = tailrace("run", "app.handler", "--code", code, "--event", "{n: 1}")

    assert result.returncode == USAGE
    assert "--event: “{n: 1}” is not JSON" in told(result.stderr)


def test_extension_that_is_missing(code: Path) -> None:
    result = tailrace("run", "app.handler", "--code", code, "--extension", "/nowhere/agent")

    assert result.returncode == USAGE
    assert "/nowhere/agent does not exist" in told(result.stderr)


def test_extension_that_is_not_executable(code: Path, tmp_path: Path) -> None:
    (tmp_path / "agent").write_text("#!/bin/sh\n")

    result = tailrace("run", "app.handler", "--code", code, "--extension", tmp_path / "agent")

    assert result.returncode == USAGE
    assert "agent is not executable" in told(result.stderr)
    assert "chmod +x agent" in result.stderr


@pytest.mark.parametrize(
    ("destinations", "words"),
    [
        (
            "file:///tmp/x s4://logs",
            ['second entry: unknown scheme "s4" in "s4://logs"', "known: file, http, https, s3"],
        ),
        ("file://relative", ["TAILRACE_DESTINATIONS, first entry", "three slashes"]),
        ("https://", ["TAILRACE_DESTINATIONS, first entry"]),
        ("http://host:notaport/", ["TAILRACE_DESTINATIONS, first entry"]),
        ("s3://bucket?colour=red", ['unknown query key "colour"', "known:"]),
    ],
)
def test_destination_that_cannot_be_used(code: Path, destinations: str, words: list[str]) -> None:
    settings = variables({"TAILRACE_DESTINATIONS": destinations})

    result = tailrace("run", "app.handler", "--code", code, "--extension", "tailrace", *settings)

    assert result.returncode == USAGE
    assert all(word in told(result.stderr) for word in words)


@pytest.mark.parametrize("entry", ["AWS_LAMBDA_RUNTIME_API=1", "_HANDLER=x", "SURELY_ABSENT_HERE", "9=1", "=1"])
def test_variables_that_are_refused_by_name(code: Path, entry: str) -> None:
    result = tailrace("run", "app.handler", "--code", code, "--env", entry)

    assert result.returncode == USAGE
    assert "--env: " in told(result.stderr)


@pytest.mark.parametrize(
    "arguments",
    [["--timeout", "0"], ["--memory", "64"], ["--invocations", "0"], ["--log-format", "xml"], ["--nonsense"]],
)
def test_options_out_of_range(code: Path, arguments: list[str]) -> None:
    result = tailrace("run", "app.handler", "--code", code, *arguments)

    assert result.returncode == USAGE
    assert "try: tailrace run --help" in told(result.stderr)


def test_interpreter_without_the_runtime_client(code: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nexec /usr/bin/env python3 -I -S "$@"\n')
    python.chmod(0o755)

    result = tailrace("run", "app.handler", "--code", code, "--python", python)

    assert result.returncode == USAGE
    assert "-m pip install awslambdaric" in told(result.stderr)


def test_extension_that_crashes_keeps_the_environment_from_starting(code: Path, tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    agent.write_text("#!/bin/sh\nexit 7\n")
    agent.chmod(0o755)

    result = tailrace("run", "app.handler", "--code", code, "--extension", agent)

    assert result.returncode == 3
    assert "extensions/agent" in result.stderr
    assert "Extension." in result.stderr


def test_function_that_fails_while_it_is_imported(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", "raise RuntimeError('no database')\ndef handler(event, context): pass\n")

    document = run_json("app.handler", "--code", code, exit_code=1)

    (invocation,) = document["invocations"]
    assert invocation["error"]["errorType"] == "RuntimeError"
    assert invocation["error"]["errorMessage"] == "no database"


def test_unreachable_bucket_is_named_and_the_function_does_not_notice(code: Path) -> None:
    settings = variables({"TAILRACE_DESTINATIONS": "s3://logs", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"})

    result = tailrace("run", "app.handler", "--code", code, "--extension", "tailrace", *settings)

    assert result.returncode == 0
    assert "s3://logs" in result.stdout
    assert "connection refused" in result.stdout.lower()


def test_a_second_start_command_says_what_it_does_not_know() -> None:
    result = tailrace("rnu")

    assert result.returncode == USAGE
    assert "rnu" in told(result.stderr)


def test_module_that_the_function_needs_and_nobody_has_is_named(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", "import no_such_module\n" + FUNCTION)

    result = tailrace("run", "app.handler", "--code", code)

    assert result.returncode == 1
    assert 'handler "app.handler" cannot be loaded' in told(result.stderr)
    assert "No module named 'no_such_module'" in result.stderr


def test_file_in_a_layer_that_is_no_program_is_passed_over_with_a_word(code: Path, tmp_path: Path) -> None:
    (tmp_path / "layer" / "extensions").mkdir(parents=True)
    (tmp_path / "layer" / "extensions" / "README.md").write_text("about")

    result = tailrace("run", "app.handler", "--code", code, "--layer", tmp_path / "layer")

    assert result.returncode == 0
    assert "extensions/README.md of the layers is not executable" in told(result.stderr)
