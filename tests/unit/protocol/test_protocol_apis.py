"""The contracts of the Runtime, Extensions, Telemetry and Logs API: both directions, and every refusal."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import ProtocolError
from tailrace.protocol import extensions_api, logs_api, runtime_api, telemetry_api
from tailrace.protocol.replies import ApiError, decode_error, json_line

UUID = "11111111-2222-4333-8444-555555555555"


def test_a_refusal_has_its_members_in_order_and_escapes_html() -> None:
    error = ApiError(403, "A<B>", "x & y")
    assert error.body() == b'{"errorMessage":"x \\u0026 y","errorType":"A\\u003cB\\u003e"}\n'
    assert decode_error(403, error.body()) == error


@pytest.mark.parametrize("body", [b"", b"oops", b"[1]", b'{"errorMessage":5}', b"\xff"])
def test_odd_refusals_are_read_without_fuss(body: bytes) -> None:
    assert decode_error(500, body).status == 500


@given(st.text(), st.text())
def test_any_refusal_survives_the_wire(error_type: str, message: str) -> None:
    error = ApiError(400, error_type, message)
    assert decode_error(400, error.body()) == error
    assert error.body().count(b"\n") == 1
    assert json_line({"a": message}).isascii()


# ---- Runtime API


def test_next_answers_with_all_that_is_known_as_headers() -> None:
    event = runtime_api.NextEvent(UUID, 1795, "arn:x", b"{}", "Root=1", '{"a":1}', '{"b":2}', "text/plain", "blue")
    assert dict(event.headers()) == {
        "Lambda-Runtime-Aws-Request-Id": UUID,
        "Lambda-Runtime-Deadline-Ms": "1795",
        "Lambda-Runtime-Invoked-Function-Arn": "arn:x",
        "Lambda-Runtime-Trace-Id": "Root=1",
        "Lambda-Runtime-Client-Context": '{"a":1}',
        "Lambda-Runtime-Cognito-Identity": '{"b":2}',
        "Lambda-Runtime-Aws-Tenant-Id": "blue",
        "Content-Type": "text/plain",
    }


def test_headers_of_next_that_are_not_known_are_left_out() -> None:
    names = [name for name, _ in runtime_api.NextEvent(UUID, 5, "arn:x", b"").headers()]
    assert names == [runtime_api.REQUEST_ID, runtime_api.DEADLINE_MS, runtime_api.INVOKED_ARN, "Content-Type"]


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("Runtime.UnhandledException", "Runtime.UnhandledException"),
        ("Function.Foo", "Function.Foo"),
        ("xx Runtime.Abc yy", "xx Runtime.Abc yy"),
        ("Function.foo", "Function.Unknown"),
        ("Function.", "Function.Unknown"),
        ("Runtime.A", "Runtime.Unknown"),
        ("Runtime.aB Runtime.Bc", "Runtime.aB Runtime.Bc"),
        ("Foo.Bar", "Runtime.Unknown"),
        ("", "Runtime.Unknown"),
    ],
)
def test_error_types_are_sanitised(header: str, shown: str) -> None:
    assert runtime_api.sanitize_error_type(header) == shown


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (runtime_api.response_path(UUID), (UUID, "response")),
        (runtime_api.error_path(UUID), (UUID, "error")),
        ("/2018-06-01/runtime/invocation//response", ("", "response")),
        ("/2018-06-01/runtime/invocation/next", None),
        ("/2018-06-01/runtime/invocation/a/b/response", None),
        ("/2018-06-01/runtime/invocation/a/response/", None),
        ("/", None),
    ],
)
def test_paths_of_an_invocation(path: str, found: tuple[str, str] | None) -> None:
    assert runtime_api.split_invocation_path(path) == found


def test_texts_for_the_invoker() -> None:
    assert runtime_api.timeout_message(3) == "Task timed out after 3.00 seconds"
    assert runtime_api.error_document("id", "Runtime.ExitError", "gone") == (
        b'{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: gone"}'
    )


# ---- Extensions API


def test_registering_in_both_directions() -> None:
    headers, body = extensions_api.register_request("shipper", ("INVOKE", "SHUTDOWN"), account_id=True)
    assert dict(headers)[extensions_api.NAME] == "shipper"
    assert extensions_api.accepts_account_id(dict(headers)[extensions_api.ACCEPT_FEATURE])
    assert extensions_api.parse_register_body(body) == ("INVOKE", "SHUTDOWN")
    reply = extensions_api.register_reply("billing", "7", "app.run", "123")
    read = extensions_api.decode_register_reply([("lambda-extension-identifier", UUID)], reply)
    found = (read.identifier, read.function_name, read.function_version, read.handler, read.account_id)
    assert found == (UUID, "billing", "7", "app.run", "123")


@pytest.mark.parametrize(("header", "accepted"), [("", False), (" foo , accountId", True), ("ACCOUNTID", False)])
def test_only_the_known_feature_counts(header: str, accepted: bool) -> None:
    assert extensions_api.accepts_account_id(header) is accepted


@pytest.mark.parametrize(("headers", "body"), [([], b"{}"), ([("Lambda-Extension-Identifier", UUID)], b"[]")])
def test_an_answer_to_register_that_cannot_be_used(headers: list[tuple[str, str]], body: bytes) -> None:
    with pytest.raises(ProtocolError):
        extensions_api.decode_register_reply(headers, body)


def test_duplicate_events_count_once() -> None:
    assert extensions_api.parse_register_body(b'{"events":["SHUTDOWN","SHUTDOWN"]}') == ("SHUTDOWN",)


def test_invoke_and_shutdown_in_both_directions() -> None:
    invoke = extensions_api.LifecycleEvent("INVOKE", 5, "id", "arn:x", "Root=1")
    read = extensions_api.decode_event(invoke.body())
    assert (read.type, read.deadline_ms, read.request_id, read.invoked_arn, read.trace_value) == (
        "INVOKE",
        5,
        "id",
        "arn:x",
        "Root=1",
    )
    shutdown = extensions_api.LifecycleEvent("SHUTDOWN", 7, shutdown_reason="spindown")
    assert shutdown.body() == b'{"eventType":"SHUTDOWN","deadlineMs":7,"shutdownReason":"spindown"}'
    assert extensions_api.decode_event(shutdown.body()).shutdown_reason == "spindown"
    assert b"tracing" not in extensions_api.LifecycleEvent("INVOKE", 5, "id", "arn:x").body()


def test_reasons_are_read_in_any_case_and_unknown_events_pass() -> None:
    assert (
        extensions_api.decode_event(b'{"eventType":"SHUTDOWN","shutdownReason":"TIMEOUT"}').shutdown_reason == "timeout"
    )
    assert extensions_api.decode_event(b'{"eventType":"RESTORE","deadlineMs":1.5,"tracing":null}').type == "RESTORE"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"eventType":5}', b"\xff"])
def test_an_answer_to_next_that_is_no_event(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        extensions_api.decode_event(body)


def test_an_error_report_fits_into_a_header() -> None:
    headers, body = extensions_api.error_request(UUID, "Extension.A\r\nX: y é", "text")
    assert dict(headers)[extensions_api.ERROR_TYPE] == "Extension.A  X: y  "
    assert json.loads(body)["errorMessage"] == "text"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (UUID, UUID),
        (UUID.upper(), UUID),
        ("{" + UUID + "}", UUID),
        ("urn:uuid:" + UUID, UUID),
        (UUID.replace("-", ""), UUID),
        ("abc", None),
        (UUID[:-1] + "g", None),
        (UUID + "0", None),
        ("", None),
    ],
)
def test_identifiers_are_normalised(text: str, found: str | None) -> None:
    assert extensions_api.parse_identifier(text) == found


# ---- Telemetry API and Logs API

GOOD: dict[str, Any] = {
    "schemaVersion": "2022-12-13",
    "types": ["platform", "function"],
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243/a"},
}


def telemetry(**changes: Any) -> telemetry_api.Subscription | ApiError:
    members = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    return telemetry_api.parse_subscription(json.dumps(members).encode())


def reason(found: object) -> str:
    assert isinstance(found, ApiError)
    assert (found.status, found.error_type) == (400, "ValidationError")
    return found.message


def test_defaults_of_a_subscription() -> None:
    found = telemetry()
    assert isinstance(found, telemetry_api.Subscription)
    assert (found.max_items, found.max_bytes, found.timeout_ms) == (10000, 262144, 1000)
    assert (found.uri, found.types) == ("http://sandbox.localdomain:4243/a", ("platform", "function"))


@pytest.mark.parametrize("version", telemetry_api.SCHEMA_VERSIONS)
def test_a_subscription_survives_the_wire(version: str) -> None:
    wanted = telemetry_api.Subscription(version, ("extension",), "http://sandbox:1/x", 1000, 262144, 25)
    read = telemetry_api.parse_subscription(wanted.body())
    names = telemetry_api.Subscription.__slots__
    assert isinstance(read, telemetry_api.Subscription)
    assert [getattr(read, name) for name in names] == [getattr(wanted, name) for name in names]
    by_tcp = telemetry_api.Subscription(version, ("extension",), "", protocol="TCP", port=4243)
    read = telemetry_api.parse_subscription(by_tcp.body())
    assert isinstance(read, telemetry_api.Subscription)
    assert (read.protocol, read.port, read.uri) == ("TCP", 4243, "")


@pytest.mark.parametrize(("name", "least", "most", "default"), telemetry_api.BUFFERING)
def test_bounds_of_buffering_are_enforced_at_both_ends(name: str, least: int, most: int, default: int) -> None:
    assert least <= default <= most
    for number in (least, most):
        assert isinstance(telemetry(buffering={name: number}), telemetry_api.Subscription)
    for bad in (least - 1, most + 1, str(least), float(least), True, None):
        assert f"buffering.{name}" in reason(telemetry(buffering={name: bad}))


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("http://sandbox.localdomain:4243", ""),
        ("http://sandbox:1/a/b?c=d", ""),
        ("http://sandbox.localdomain:65535", ""),
        ("http://sandbox.localdomain", "URI port is not provided"),
        ("http://sandbox.localdomain:", "URI port is not provided"),
        ("http://sandbox.localdomain/4243:1", "URI port is not provided"),
        ("http://example.com:80", "URI host"),
        ("http://sandbox.localdomain@example.com:80", "URI host"),
        ("http://127.0.0.1:80", "URI host"),
        ("http://sandbox.localdomain:0", "URI port is"),
        ("http://sandbox.localdomain:65536", "URI port is"),
        ("http://sandbox.localdomain:9001", "URI port is"),
        ("http://sandbox.localdomain:99999999999999999999", "URI port is"),
        ("https://sandbox.localdomain:4243", "not of the form"),
        ("HTTP://sandbox.localdomain:4243", "not of the form"),
        ("http://sandbox.localdomain:42 43", "not of the form"),
        ("http://sandbox.localdomain:4243/\r\nX: y", "not of the form"),
        ("", "URI is not provided"),
        (None, "URI is not provided"),
        (7, "URI 7 is not of the form http://sandbox.localdomain:PORT/PATH"),
    ],
)
def test_uris_of_a_subscription(uri: object, problem: str) -> None:
    found = telemetry_api.uri_problem(uri)
    assert (found == "") is (problem == "")
    assert problem in found


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"types": []}, "types should not be empty"),
        ({"types": ...}, "types should not be empty"),
        ({"types": "platform"}, 'types is "platform", not a list'),
        ({"types": ["platform", "metrics"]}, 'types is "metrics"'),
        ({"types": [{}]}, "types is {}"),
        ({"schemaVersion": ...}, "schemaVersion is not provided"),
        ({"schemaVersion": "2021-03-18"}, 'schemaVersion is "2021-03-18", not one of 2022-07-01'),
        ({"destination": ...}, "destination is not provided"),
        ({"destination": []}, "destination is [], not an object"),
        ({"destination": {"URI": "http://sandbox:1"}}, "destination.protocol is not provided"),
        ({"destination": {"protocol": "http", "URI": "http://sandbox:1"}}, 'destination.protocol is "http"'),
        ({"destination": {"protocol": "TCP"}}, "destination.port is not provided"),
        ({"destination": {"protocol": "TCP", "port": 9001}}, "destination.port is 9001"),
        ({"destination": {"protocol": "TCP", "port": "80"}}, 'destination.port is "80"'),
        ({"buffering": []}, "buffering is [], not an object"),
    ],
)
def test_what_is_wrong_with_a_subscription_is_named(changes: dict[str, Any], text: str) -> None:
    assert text in reason(telemetry(**changes))


def test_all_reasons_stand_in_one_answer() -> None:
    found = reason(
        telemetry(types=[], destination={"protocol": "HTTP", "URI": "http://sandbox"}, buffering={"maxItems": 1})
    )
    assert found.startswith("URI port is not provided; types should not be empty; buffering.maxItems is 1")


@pytest.mark.parametrize("body", [b"", b"nope", b"[]", b'"x"', b"\xff", b"[" * 100_000, b'{"a":' + b"9" * 9999 + b"}"])
def test_bodies_that_are_no_subscription(body: bytes) -> None:
    assert reason(telemetry_api.parse_subscription(body))
    found = logs_api.parse_subscription(body)
    assert isinstance(found, ApiError)
    assert (found.status, found.error_type) == (400, "Logs.ValidationError")


def test_a_number_json_cannot_write_is_named_too() -> None:
    body = json.dumps(GOOD)[:-1].encode() + b',"buffering":{"maxItems":1e999}}'
    assert "maxItems is inf" in reason(telemetry_api.parse_subscription(body))


def test_the_logs_api_has_a_default_schema_methods_and_texts_of_its_own() -> None:
    destination = {"protocol": "HTTP", "URI": "http://sandbox:1", "method": "PUT", "encoding": "JSON"}
    found = logs_api.parse_subscription(json.dumps({"types": ["function"], "destination": destination}).encode())
    assert isinstance(found, telemetry_api.Subscription)
    assert (found.schema_version, found.method) == ("2020-08-15", "PUT")
    wrong = {"types": [], "schemaVersion": "2022-07-01", "destination": {**destination, "method": "GET", "URI": "x"}}
    refused = logs_api.parse_subscription(json.dumps(wrong).encode())
    assert isinstance(refused, ApiError)
    assert refused.message.split("; ") == [
        'schemaVersion is "2022-07-01", not one of 2020-08-15, 2021-03-18',
        'destination.method is "GET", not one of POST, PUT',
        'URI "x" is not of the form http://sandbox.localdomain:PORT/PATH',
        "types should not be empty",
    ]
    assert logs_api.SUBSCRIPTION_CLOSED.message == "Logs API subscription is closed already"


def test_importing_the_protocol_costs_no_module_of_the_start_up_budget() -> None:
    modules = (
        "events extensions_api jsontext logs_api logs_events platform_events replies report runtime_api telemetry_api"
    )
    imports = ";".join(f"import tailrace.protocol.{name}" for name in modules.split())
    code = (
        "import sys; before = set(sys.modules);"
        f"{imports};"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('tailrace')))"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert set(json.loads(ran.stdout.replace("'", '"'))) <= {"__future__", "_json"}
