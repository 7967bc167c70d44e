"""For tests of functions and extensions: a local Lambda environment with a blocking API.

With pytest, the fixture `lambda_environment` (`tailrace.testing.plugin`) is there as soon as Tailrace is installed.
Without it::

    from tailrace.testing import LambdaEnvironment

    with LambdaEnvironment("app.handler", code="app", extensions=["extensions/counter"]) as env:
        assert env.invoke({"n": 1}).payload == {"n": 1}

The names are imported when they are asked for: the plugin lies in this package, and is loaded in every run of pytest.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.emulator.faults.fault import Fault
    from tailrace.testing.environment import LambdaEnvironment
    from tailrace.testing.pending import Pending
    from tailrace.testing.result import FunctionError, Result
    from tailrace.testing.telemetry import Telemetry, TelemetryEvent
    from tailrace.testing.waiting import ConditionNotMetError

__all__ = [
    "ConditionNotMetError",
    "Fault",
    "FunctionError",
    "LambdaEnvironment",
    "Pending",
    "Result",
    "Telemetry",
    "TelemetryEvent",
]

_HOMES = {
    "ConditionNotMetError": "tailrace.testing.waiting",
    "Fault": "tailrace.emulator.faults.fault",
    "FunctionError": "tailrace.testing.result",
    "LambdaEnvironment": "tailrace.testing.environment",
    "Pending": "tailrace.testing.pending",
    "Result": "tailrace.testing.result",
    "Telemetry": "tailrace.testing.telemetry",
    "TelemetryEvent": "tailrace.testing.telemetry",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from tailrace.emulator.linux import require_linux

    require_linux()  # before the modules that exist on Linux only
    return getattr(import_module(_HOMES[name]), name)
