"""What most tests of the agent begin with, and what all tests that start processes need."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.agent_process import unpack_layer
from support.fake_lambda_api import FakeLambdaApi


@pytest.fixture(scope="session", autouse=True)
def _interrupts_reach_children() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def opt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer, unpacked. Who changes it unpacks one of their own."""
    return unpack_layer(tmp_path_factory.mktemp("layer"))


@pytest.fixture
def api() -> Iterator[FakeLambdaApi]:
    with FakeLambdaApi() as api:
        yield api


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
