"""Reading a request of Lambda's Invoke API: what is asked for, or the error that it deserves."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from urllib.parse import parse_qs, unquote, urlsplit

from tailrace.emulator.plain_value import plain_value
from tailrace.emulator.servers.http_server import Request
from tailrace.emulator.servers.tenancy import ALLOWED, is_tenant_id

MAX_SYNC_BYTES = 6_291_456
MAX_EVENT_BYTES = 1_048_576
"""Request payloads (lambda-platform.md 3.8)."""

MAX_CLIENT_CONTEXT_CHARS = 3583

_PATH = re.compile(r"/2015-03-31/functions/([^/]+)/invocations/?")
_FUNCTION = re.compile(
    r"(?:arn:(?:aws[a-zA-Z-]*)?:lambda:)?(?:[a-z]{2}(?:-[a-z]+)+-\d:)?(?:\d{12}:)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9-_]{1,140})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]{1,128}))?"
)
_QUALIFIER = re.compile(r"[a-zA-Z0-9$_-]{1,128}")
_TYPES = ("RequestResponse", "Event", "DryRun")
_LOG_TYPES = ("None", "Tail")


class ServiceError(Exception):
    """An answer that says why nothing was run: status, exception name and message of lambda-platform.md 9.3."""

    def __init__(self, status: int, name: str, message: str, reason: str = "") -> None:
        self.status = status
        self.name = name
        self.message = message
        self.reason = reason
        super().__init__(message)


@plain_value
class InvokeCall:
    """One call of the Invoke API. `client_context` is the decoded JSON text; `cognito_identity` is JSON text."""

    function: str
    qualifier: str
    invocation_type: str
    wants_log: bool
    payload: bytes
    client_context: str
    trace_header: str
    content_type: str
    cognito_identity: str = ""
    tenant_id: str = ""


def read_call(request: Request) -> InvokeCall:
    """Raises `ServiceError` with the service's own status, name and words."""
    function, qualifier = _read_target(request.target)
    if request.method != "POST":
        raise ServiceError(405, "MethodNotAllowedException", "The Invoke API is called by POST")
    invocation_type = _one_of(request, "x-amz-invocation-type", _TYPES, "invocationType")
    log_type = _one_of(request, "x-amz-log-type", _LOG_TYPES, "logType")
    _check_size(request, invocation_type)
    return InvokeCall(
        function=function,
        qualifier=qualifier,
        invocation_type=invocation_type,
        wants_log=log_type == "Tail" and invocation_type == "RequestResponse",
        payload=_payload(request.body),
        client_context=_client_context(request.headers.get("x-amz-client-context", "")),
        trace_header=request.headers.get("x-amzn-trace-id", ""),
        content_type=_content_type(request),
        cognito_identity=_cognito_identity(request.headers.get("x-amz-cognito-identity", "")),
        tenant_id=_tenant_id(request.headers.get("x-amz-tenant-id", "")),
    )


@functools.lru_cache(maxsize=128)
def _read_target(target: str) -> tuple[str, str]:
    """Function and qualifier. One client asks for the same again and again."""
    url = urlsplit(target)
    return _function(url.path, parse_qs(url.query).get("Qualifier", [""])[-1])


def _function(path: str, qualifier: str) -> tuple[str, str]:
    found = _PATH.fullmatch(path)
    if found is None:
        raise ServiceError(404, "UnknownOperationException", f"{path} is not a path of the Invoke API")
    given = unquote(found[1])
    named = _FUNCTION.fullmatch(given)
    if named is None:
        raise _invalid(given, "functionName", "a name, a partial ARN or an ARN")
    if qualifier and not _QUALIFIER.fullmatch(qualifier):
        raise _invalid(qualifier, "qualifier", "a version or an alias")
    own = named["qualifier"] or ""
    if own and qualifier and own != qualifier:
        raise ServiceError(
            400,
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        )
    return named["name"], own or qualifier


def _invalid(value: str, member: str, allowed: str) -> ServiceError:
    message = (
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        f"Member must be {allowed}"
    )
    return ServiceError(400, "ValidationException", message)


def _one_of(request: Request, header: str, allowed: tuple[str, ...], member: str) -> str:
    value = request.headers.get(header, "") or allowed[0]
    if value not in allowed:
        raise _invalid(value, member, f"one of [{', '.join(allowed)}]")
    return value


def _check_size(request: Request, invocation_type: str) -> None:
    limit = MAX_EVENT_BYTES if invocation_type == "Event" else MAX_SYNC_BYTES
    if len(request.body) > limit:
        raise ServiceError(
            413,
            "RequestTooLargeException",
            f"{len(request.body)} byte payload is too large for the {invocation_type} invocation type "
            f"(service limit {limit} bytes)",
        )


def _payload(body: bytes) -> bytes:
    """The event. An empty body is the empty object (lambda-platform.md 9.1)."""
    if not body.strip():
        return b"{}"
    try:
        json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ServiceError(
            400,
            "InvalidRequestContentException",
            f"Could not parse request body into json: Could not parse payload into json: {error}",
        ) from None
    return body


def _client_context(header: str) -> str:
    if len(header) > MAX_CLIENT_CONTEXT_CHARS:
        raise _bad_context(f"Client context must be at most {MAX_CLIENT_CONTEXT_CHARS} bytes in base64")
    if not header:
        return ""
    try:
        text = base64.b64decode(header, validate=True).decode("utf-8")
        json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        raise _bad_context("Client context must be a valid Base64-encoded JSON object.") from None
    return text


def _cognito_identity(header: str) -> str:
    """The service makes it from a caller's Cognito credentials; AWS's emulator takes this header, and so do we."""
    if not header:
        return ""
    try:
        is_object = isinstance(json.loads(header), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise _bad_context("X-Amz-Cognito-Identity must be a JSON object")
    return header


def _tenant_id(header: str) -> str:
    if header and not is_tenant_id(header):
        raise _invalid(header, "tenantId", ALLOWED)
    return header


def _bad_context(message: str) -> ServiceError:
    return ServiceError(400, "InvalidRequestContentException", message)


def _content_type(request: Request) -> str:
    """What the runtime is told. SDKs send a stream type of their own, which is not the event's."""
    given = request.headers.get("content-type", "")
    return given if given.startswith("application/json") else "application/json"
