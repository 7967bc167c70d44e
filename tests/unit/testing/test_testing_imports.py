from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

import tailrace.testing

NEW_MODULES = """
import sys, pytest
before = set(sys.modules)
import tailrace.testing.plugin
print(*sorted(set(sys.modules) - before))
"""


def test_the_plugin_is_registered_and_brings_nothing_but_itself_into_everybodys_pytest() -> None:
    (found,) = [entry for entry in entry_points(group="pytest11") if entry.name == "tailrace"]
    done = subprocess.run([sys.executable, "-c", NEW_MODULES], check=True, capture_output=True, text=True, timeout=60)

    assert found.value == "tailrace.testing.plugin"
    assert done.stdout.split() == ["tailrace", "tailrace.testing", "tailrace.testing.plugin"]


def test_the_class_can_be_had_where_pytest_is_not_installed() -> None:
    code = "import sys; sys.modules['pytest'] = None; import tailrace.testing as t; print(t.LambdaEnvironment.__name__)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert done.stdout == "LambdaEnvironment\n"


def test_every_name_of_the_package_is_there() -> None:
    assert [getattr(tailrace.testing, name).__name__ for name in tailrace.testing.__all__] == tailrace.testing.__all__
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        tailrace.testing.Nonsense  # noqa: B018 - asking is the test
