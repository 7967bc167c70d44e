"""What `tailrace` does before any command is loaded."""

from __future__ import annotations

import pytest

from tailrace.cli import run_command
from tailrace.version import __version__


def test_the_version_is_told_where_people_look_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out == f"tailrace {__version__}\n"


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["frobnicate"]) == 2
    assert "No such command 'frobnicate'" in capsys.readouterr().err
