"""When the environment counts as never having started, and how every kind of error ends the program."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tailrace import cli
from tailrace.cli.outcome import start_failure
from tailrace.cli.story import InitPart, Story
from tailrace.emulator.function import ExtensionFile, FunctionConfig
from tailrace.errors import ConfigError, EnvironmentStartError, TailraceError, UsageError

CONFIG = FunctionConfig(
    "shop", "app.handler", Path("/code"), ("python",), extensions=(ExtensionFile("agent", Path("/agent")),)
)


def init(status: str, error_type: str = "", ready: tuple[str, ...] = (), message: str = "") -> InitPart:
    return InitPart("init", status, error_type, 10_000.0, dict.fromkeys(ready, 1.0), message)


def test_a_good_init_is_a_start_even_after_a_bad_one() -> None:
    assert start_failure(Story([init("error", "Extension.Crash"), init("success")]), CONFIG) is None


def test_a_crashed_extension_is_named_with_how_it_ended() -> None:
    failure = start_failure(Story([init("error", "Extension.Crash", message="exit status 7")]), CONFIG)

    assert failure is not None
    assert failure.sentence == "extensions/agent kept the environment from starting: Extension.Crash (exit status 7)"


def test_an_extension_that_never_gets_ready_is_named() -> None:
    failure = start_failure(Story([init("timeout")]), CONFIG)

    assert failure is not None
    assert failure.sentence == "extensions/agent did not get ready within 10 s"
    assert "AWS_LAMBDA_RUNTIME_API" in failure.remedy


@pytest.mark.parametrize(
    "part",
    [
        init("error", "Runtime.ExitError", ready=("ext:agent",)),
        init("timeout", ready=("ext:agent",)),
    ],
)
def test_a_function_that_fails_in_init_is_the_functions_failure(part: InitPart) -> None:
    assert start_failure(Story([part]), CONFIG) is None


@pytest.mark.parametrize(
    ("error", "exit_code", "words"),
    [
        (UsageError("--code", "x is not a folder", "give a folder"), 2, "tailrace: --code: x is not a folder\n"),
        (ConfigError("TAILRACE_TYPES", "unknown type"), 2, "tailrace: TAILRACE_TYPES: unknown type\n"),
        (EnvironmentStartError("cannot listen"), 3, "tailrace: cannot listen\n"),
        (TailraceError("something else"), 2, "tailrace: something else\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("a fault of our own"), 70, "fault of Tailrace itself (RuntimeError)"),
    ],
)
def test_every_kind_of_error_has_its_exit_code_and_no_traceback(
    error: BaseException,
    exit_code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    @click.command("broken")
    def broken() -> None:
        raise error

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(cli, "cli", broken)

    assert cli.run_command([]) == exit_code
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told


def test_the_details_of_a_fault_are_kept_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    from tailrace.cli.errors import report_fault

    assert report_fault(RuntimeError("deep inside")) == 70
    (file,) = tmp_path.iterdir()
    assert "deep inside" in file.read_text()
