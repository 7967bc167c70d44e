"""Lambda's share of the processors, kept by a real control group around a real function."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import write_function
from tailrace.emulator.limits import cgroups
from tailrace.emulator.limits.cgroups import CPU, MEMORY, flat_keyed
from tailrace.emulator.limits.resources import find_group
from tailrace.errors import ConfigError
from tailrace.testing import LambdaEnvironment

BUSY = """
import time
init = time.process_time() + 0.05
while time.process_time() < init:
    pass
def handler(event, context):
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
"""


def cpu_group(folder: Path) -> Path:
    """The group of the one environment whose files lie below `folder`."""
    (environment,) = folder.glob("tailrace-*/environment-*")
    trees = [tree.own for tree in cgroups.find_hierarchies() if CPU in tree.controllers]
    (found,) = {path for tree in trees for path in tree.glob(f"**/{cgroups.PREFIX}{environment.name}")}
    return found


@pytest.mark.skipif(
    (group := find_group("probe", frozenset({MEMORY, CPU}))) is None or CPU not in group.controllers,
    reason="no control group may limit processors here",
)
def test_the_share_holds_in_invocations_and_not_in_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = write_function(tmp_path / "busy", BUSY)
    with LambdaEnvironment("app.handler", code=code, memory_mb=128, timeout_s=60, cpu="lambda") as env:
        group = cpu_group(tmp_path)
        assert flat_keyed(group / "cpu.stat", "nr_throttled") == 0
        assert env.invoke().error is None
        # 50 ms of work in periods with 1.45 ms each
        assert flat_keyed(group / "cpu.stat", "nr_throttled") >= 10
    assert not group.exists()


def test_a_share_of_somebody_elses_is_refused() -> None:
    with pytest.raises(ConfigError, match="cpu: 'azure' is unknown; one of host, lambda"):
        LambdaEnvironment("app.handler", cpu="azure")
