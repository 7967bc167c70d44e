from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tailrace.emulator.faults.plan import FaultPlan
from tailrace.errors import ConfigError
from tailrace.testing import Fault, LambdaEnvironment, arguments


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"extensions": "tailrace"}, "extensions: 'tailrace' is one path, not a list; write extensions=['tailrace']"),
        ({"layers": Path("x.zip")}, "layers: 'x.zip' is one path, not a list; write layers=['x.zip']"),
        ({"env": {"N": 1}}, "env: the value of N is no text but int; give text"),
        ({"env": ["N=1"]}, 'env: [\'N=1\'] is no mapping; write env={"NAME": "value"}'),
        ({"mounts": "/data"}, "mounts: '/data' is one mount, not a list; write mounts=['/data']"),
        ({"timeout_s": "3"}, "timeout_s: '3' is no number; more than 0, at most 900"),
        ({"memory_mb": 128.5}, "memory_mb: 128.5 is no whole number; 128 to 10240"),
        ({"tmp_mb": "512"}, "tmp_mb: '512' is no whole number; 512 to 10240"),
        ({"log_format": None}, "log_format: None is unknown; one of text, json"),
        ({"timeout_s": 0}, "timeout_s: 0 is out of range; more than 0, at most 900"),
        ({"memory_mb": 64}, "memory_mb: 64 is out of range; 128 to 10240"),
        ({"log_format": "xml"}, "log_format: 'xml' is unknown; one of text, json"),
        ({"handler": len}, 'handler: <built-in function len> is not text; give its name, for example "app.handler"'),
    ],
)
def test_a_wrong_argument_is_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LambdaEnvironment(**{"handler": "app.handler", **options})

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("event", "raw", "sentence"),
    [
        ({"n"}, None, "event: cannot be written as JSON (Object of type set is not JSON serializable)"),
        (float("nan"), None, "event: cannot be written as JSON (Out of range float values are not JSON compliant"),
        (None, b"{", "raw: is not JSON (Expecting property name"),
        ({}, "{}", "raw: is given beside an event; give one of them"),
        ("x" * 6_291_456, None, "event: has 6291458 bytes; Lambda allows 6291456"),
    ],
)
def test_a_wrong_event_is_one_sentence(event: object, raw: bytes | str | None, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        arguments.payload(event, raw)

    assert str(caught.value).startswith(sentence)


def test_an_event_is_json_and_nothing_is_the_empty_object() -> None:
    assert arguments.payload(None, None) == b"{}"
    assert arguments.payload([1, "é"], None) == b'[1, "\\u00e9"]'
    assert arguments.payload(None, " null ") == b" null "


def test_a_client_context_that_the_service_would_refuse_is_refused() -> None:
    assert arguments.client_context({"custom": {}}) == '{"custom": {}}'
    with pytest.raises(ConfigError, match="client_context: takes 4016 bytes in base64; Lambda allows 3583"):
        arguments.client_context({"custom": "x" * 2996})


def test_faults_are_names_or_values_in_a_list() -> None:
    kill = Fault("kill", process="a", at="invoke:2")
    plan = arguments.faults(["telemetry-reset", kill], 7)

    assert plan == FaultPlan((Fault("telemetry-reset"), kill), 7)
    with pytest.raises(ConfigError, match=r"faults: 'kill a at invoke:2' is one fault, not a list; write faults="):
        arguments.faults(kill, 0)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ConfigError, match=r"seed: 'a' is no whole number"):
        arguments.faults([], "a")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ConfigError, match=r"count: is given beside a fault that is made already"):
        arguments.fault(kill, count=2)
    with pytest.raises(ConfigError, match=r'what: "telemetry-rest" is unknown \(did you mean telemetry-reset\?\)'):
        arguments.faults(["telemetry-rest"], 0)
