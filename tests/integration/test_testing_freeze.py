"""Freezing and thawing by hand, in the middle of things."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.emulator_runs import function_folder
from tailrace.testing import LambdaEnvironment

FUNCTION = """
import os, time
def handler(event, context):
    print("working on", event)
    while "path" in event and not os.path.exists(event["path"]):
        time.sleep(0.005)
    time.sleep(event.get("s", 0))
"""

StartEnvironment = Callable[..., LambdaEnvironment]


@pytest.fixture
def start(lambda_environment: StartEnvironment, tmp_path: Path) -> StartEnvironment:
    def start(**options: Any) -> LambdaEnvironment:
        code = function_folder(tmp_path, FUNCTION)
        return lambda_environment("app.handler", **{"code": code, "isolation": "process"} | options)

    return start


def frozen(env: LambdaEnvironment) -> bool:
    return env.is_frozen


def test_an_invocation_can_be_frozen_in_the_middle(start: StartEnvironment, tmp_path: Path) -> None:
    env = start(timeout_s=30)
    pending = env.submit({"path": str(tmp_path / "go")})
    env.wait_until(lambda: any("'path'" in line for line in env.log_lines))
    env.freeze()
    (tmp_path / "go").touch()
    assert frozen(env)
    assert not pending.is_answered
    env.thaw()
    assert not frozen(env)
    assert pending.result().error is None


def test_a_deadline_does_not_wait_for_whoever_froze_the_environment(start: StartEnvironment) -> None:
    env = start(timeout_s=1)
    pending = env.submit({"s": 60})
    env.wait_until(lambda: any("'s': 60" in line for line in env.log_lines))
    env.freeze()
    error = pending.result().error

    assert error is not None
    assert error.type == "Sandbox.Timedout"
    assert env.invoke({}).error is None


def test_shutting_down_a_frozen_environment_takes_no_longer(start: StartEnvironment, tmp_path: Path) -> None:
    target = f"file://{tmp_path}/out"
    env = start(extensions=["tailrace"], env={"TAILRACE_DESTINATIONS": target})
    pending = env.submit({"s": 60})
    env.wait_until(lambda: any("'s': 60" in line for line in env.log_lines))
    env.freeze()
    env.shutdown()

    assert pending.is_done
    assert env.ledger is not None
    assert env.ledger[target]["held"] == 0
