from __future__ import annotations

import base64

import pytest

from tailrace.emulator.servers.http_server import Request
from tailrace.emulator.servers.invoke_request import InvokeCall, ServiceError, read_call


def request(
    target: str = "/2015-03-31/functions/shop/invocations", method: str = "POST", body: bytes = b"{}", **headers: str
) -> Request:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, target, given, body, False, True, 0)


def refusal(made: Request) -> tuple[int, str]:
    with pytest.raises(ServiceError) as caught:
        read_call(made)
    assert caught.value.message
    return caught.value.status, caught.value.name


def test_a_plain_call() -> None:
    assert read_call(request()) == InvokeCall("shop", "", "RequestResponse", False, b"{}", "", "", "application/json")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop", ("shop", "")),
        ("shop:live", ("shop", "live")),
        ("shop:$LATEST", ("shop", "$LATEST")),
        ("shop%3Alive", ("shop", "live")),
        ("123456789012:shop", ("shop", "")),
        ("123456789012:function:shop:2", ("shop", "2")),
        ("function:shop", ("shop", "")),
        ("arn:aws:lambda:eu-central-1:123456789012:function:shop", ("shop", "")),
        ("arn%3Aaws-cn%3Alambda%3Acn-north-1%3A123456789012%3Afunction%3Ashop%3Alive", ("shop", "live")),
    ],
)
def test_names(name: str, expected: tuple[str, str]) -> None:
    call = read_call(request(f"/2015-03-31/functions/{name}/invocations"))
    assert (call.function, call.qualifier) == expected


def test_the_qualifier_of_the_query_and_that_of_the_name() -> None:
    path = "/2015-03-31/functions/{}/invocations?Qualifier={}"
    assert read_call(request(path.format("shop", "live"))).qualifier == "live"
    assert read_call(request(path.format("shop:live", "live"))).qualifier == "live"
    assert refusal(request(path.format("shop:live", "other"))) == (400, "InvalidParameterValueException")
    assert refusal(request(path.format("shop", "b%20d"))) == (400, "ValidationException")


@pytest.mark.parametrize("name", ["sh op", "shop:", "a:b:c:d:e", "x" * 141, "%0d%0a"])
def test_impossible_names_are_refused(name: str) -> None:
    assert refusal(request(f"/2015-03-31/functions/{name}/invocations")) == (400, "ValidationException")


@pytest.mark.parametrize("path", ["/", "/2015-03-31/functions/", "/2015-03-31/functions/a/b/invocations", "/x?y"])
def test_other_paths_are_not_found_whatever_the_method(path: str) -> None:
    assert refusal(request(path)) == (404, "UnknownOperationException")
    assert refusal(request(path, method="GET")) == (404, "UnknownOperationException")


def test_other_methods_are_not_allowed() -> None:
    for method in ("GET", "PUT", "HEAD"):
        assert refusal(request(method=method)) == (405, "MethodNotAllowedException")


def test_an_empty_body_is_an_empty_object_and_bad_json_is_refused() -> None:
    assert read_call(request(body=b"")).payload == b"{}"
    assert read_call(request(body=b' {"a":1} ')).payload == b' {"a":1} '
    for body in (b"{", b"\xff", b"[" * 100_000):
        assert refusal(request(body=body)) == (400, "InvalidRequestContentException")


def test_sizes_by_invocation_type() -> None:
    body = b'"' + b"x" * 1_048_575 + b'"'
    assert len(read_call(request(body=body)).payload) == len(body)
    assert refusal(request(body=body, x_amz_invocation_type="Event")) == (413, "RequestTooLargeException")
    assert refusal(request(body=b'"' + b"x" * 6_291_455 + b'"')) == (413, "RequestTooLargeException")


def test_types_and_log_types() -> None:
    assert read_call(request(x_amz_log_type="Tail")).wants_log
    assert not read_call(request(x_amz_log_type="Tail", x_amz_invocation_type="Event")).wants_log
    assert refusal(request(x_amz_invocation_type="event")) == (400, "ValidationException")
    assert refusal(request(x_amz_log_type="All")) == (400, "ValidationException")


def test_client_context_is_decoded_json() -> None:
    text = '{"custom": {"a": "é"}}'
    header = base64.b64encode(text.encode()).decode()
    assert read_call(request(x_amz_client_context=header)).client_context == text
    for bad in ("%", base64.b64encode(b"{").decode(), base64.b64encode(b"\xff").decode(), "A" * 3584):
        assert refusal(request(x_amz_client_context=bad)) == (400, "InvalidRequestContentException")


def test_a_cognito_identity_is_passed_on_as_it_came() -> None:
    given = '{"cognitoIdentityId":"a","cognitoIdentityPoolId":"b"}'
    assert read_call(request(x_amz_cognito_identity=given)).cognito_identity == given
    for bad in ("a", "[]", "{" * 100_000):
        assert refusal(request(x_amz_cognito_identity=bad)) == (400, "InvalidRequestContentException")


def test_a_tenant_is_named_by_the_characters_that_the_service_allows() -> None:
    assert read_call(request()).tenant_id == ""
    for good in ("t-1", "a b._:/=+-@Z9", "x" * 256):
        assert read_call(request(x_amz_tenant_id=good)).tenant_id == good
    for bad in ("x" * 257, "a,b", "ä", "a\tb"):
        assert refusal(request(x_amz_tenant_id=bad)) == (400, "ValidationException")


def test_the_text_of_a_payload_that_is_too_large_names_the_limit() -> None:
    for kind, limit in (("RequestResponse", 6_291_456), ("Event", 1_048_576)):
        at_the_limit = b'"' + b"x" * (limit - 2) + b'"'
        assert len(read_call(request(body=at_the_limit, x_amz_invocation_type=kind)).payload) == limit
        with pytest.raises(ServiceError) as caught:
            read_call(request(body=at_the_limit + b" ", x_amz_invocation_type=kind))
        assert caught.value.message == (
            f"{limit + 1} byte payload is too large for the {kind} invocation type (service limit {limit} bytes)"
        )


def test_the_event_is_json_whatever_content_type_an_sdk_sends() -> None:
    assert read_call(request(content_type="application/x-www-form-urlencoded")).content_type == "application/json"
    given = "application/json; charset=utf-8"
    assert read_call(request(content_type=given)).content_type == given
