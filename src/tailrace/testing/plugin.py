"""The pytest plugin. Loaded in every run of pytest wherever Tailrace is installed, so it imports nothing of ours."""

from __future__ import annotations

import contextlib

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tailrace.testing.environment import LambdaEnvironment

_SHOWN_LINES = 500


@pytest.fixture
def lambda_environment(request: pytest.FixtureRequest) -> Iterator[Callable[..., LambdaEnvironment]]:
    """Start local Lambda environments: `env = lambda_environment("app.handler", code="app", extensions=[...])`.

    Takes what `tailrace.testing.LambdaEnvironment` takes and returns one that is initialised. However the test ends,
    its environments are shut down and none of their processes is left. The report of a test that failed shows their
    log streams. For an environment that several tests share, write a fixture of your own around
    `with LambdaEnvironment(...) as env`.
    """
    from tailrace.testing import LambdaEnvironment

    environments: list[LambdaEnvironment] = []
    with contextlib.ExitStack() as stack:
        stack.callback(_show_log_streams, request.node, environments)

        def start(handler: str, **options: Any) -> LambdaEnvironment:
            __tracebackhide__ = True
            environment = LambdaEnvironment(handler, **options)
            environments.append(environment)
            stack.callback(environment.shutdown)
            return environment.start()

        yield start


def _show_log_streams(item: pytest.Item, environments: list[LambdaEnvironment]) -> None:
    """A carriage return joins the lines of one stack trace; people shall see them apart (lambda-platform.md 1.6)."""
    for environment in environments:
        lines = environment.log_lines[-_SHOWN_LINES:]
        if lines:
            item.add_report_section(
                "teardown", f"log stream of {environment.name}", "\n".join(lines).replace("\r", "\n")
            )
