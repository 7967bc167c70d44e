"""The Runtime API as data: paths, headers, limits, refusals, and what `next` answers (lambda-platform.md 3)."""

from __future__ import annotations

from tailrace.protocol.replies import CONTENT_TYPE, JSON, ApiError

ROOT = "/2018-06-01"
PING = ROOT + "/ping"
NEXT = ROOT + "/runtime/invocation/next"
INVOCATION = ROOT + "/runtime/invocation/"
INIT_ERROR = ROOT + "/runtime/init/error"
RESPONSE = "response"
ERROR = "error"

REQUEST_ID = "Lambda-Runtime-Aws-Request-Id"
DEADLINE_MS = "Lambda-Runtime-Deadline-Ms"
INVOKED_ARN = "Lambda-Runtime-Invoked-Function-Arn"
TRACE_ID = "Lambda-Runtime-Trace-Id"
CLIENT_CONTEXT = "Lambda-Runtime-Client-Context"
COGNITO_IDENTITY = "Lambda-Runtime-Cognito-Identity"
TENANT_ID = "Lambda-Runtime-Aws-Tenant-Id"
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
RESPONSE_MODE = "Lambda-Runtime-Function-Response-Mode"
STREAMING = "streaming"

MAX_PAYLOAD_BYTES = 6_291_556
"""6 MiB and a tolerance of 100 bytes, for requests and responses (lambda-platform.md 3.8)."""

INVALID_REQUEST_ID = ApiError(400, "InvalidRequestID", "Invalid request ID")
INVALID_RESPONSE_MODE = ApiError(400, "InvalidFunctionResponseMode", "Invalid function response mode")
TRUNCATED_REQUEST = ApiError(400, "TruncatedHTTPRequest", "HTTP request detected as truncated")
TOO_LARGE = ApiError(
    413, "RequestEntityTooLarge", f"Exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)."
)
TOO_LARGE_MESSAGE = f"Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)."
"""What the invoker reads of an oversized response (lambda-platform.md 3.4)."""


def invalid_transition(from_state: str, to_state: str) -> ApiError:
    """The refusal of a call that the runtime's state does not allow (lambda-platform.md 3.3)."""
    return ApiError(
        403,
        "InvalidStateTransition",
        f"State transition from {from_state} to {to_state} failed for runtime. Error: State transition is not allowed",
    )


class NextEvent:
    """One invocation as `next` hands it to the runtime. Optional texts are empty where they are not known."""

    __slots__ = (
        "client_context",
        "cognito_identity",
        "content_type",
        "deadline_ms",
        "invoked_arn",
        "payload",
        "request_id",
        "tenant_id",
        "trace_id",
    )

    def __init__(
        self,
        request_id: str,
        deadline_ms: int,
        invoked_arn: str,
        payload: bytes,
        trace_id: str = "",
        client_context: str = "",
        cognito_identity: str = "",
        content_type: str = JSON,
        tenant_id: str = "",
    ) -> None:
        self.request_id = request_id
        self.deadline_ms = deadline_ms
        self.invoked_arn = invoked_arn
        self.payload = payload
        self.trace_id = trace_id
        self.client_context = client_context
        self.cognito_identity = cognito_identity
        self.content_type = content_type
        self.tenant_id = tenant_id

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The response's headers: what is not known is left out (lambda-platform.md 3.2)."""
        pairs = (
            (REQUEST_ID, self.request_id),
            (DEADLINE_MS, str(self.deadline_ms)),
            (INVOKED_ARN, self.invoked_arn),
            (TRACE_ID, self.trace_id),
            (CLIENT_CONTEXT, self.client_context),
            (COGNITO_IDENTITY, self.cognito_identity),
            (TENANT_ID, self.tenant_id),
            (CONTENT_TYPE, self.content_type or JSON),
        )
        return tuple((name, header_text(value)) for name, value in pairs if value)


def header_text(value: str) -> str:
    """`value` as a header may carry it: control characters become blanks, so that no header can be smuggled in."""
    if value.isprintable():
        return value
    return "".join([character if character.isprintable() else " " for character in value])


def response_path(request_id: str) -> str:
    return f"{INVOCATION}{request_id}/{RESPONSE}"


def error_path(request_id: str) -> str:
    return f"{INVOCATION}{request_id}/{ERROR}"


def split_invocation_path(path: str) -> tuple[str, str] | None:
    """The id and the last word (``response``, ``error``) of a path below `INVOCATION`, or None."""
    if not path.startswith(INVOCATION):
        return None
    request_id, slash, word = path[len(INVOCATION) :].partition("/")
    return (request_id, word) if slash and word in (RESPONSE, ERROR) else None


def sanitize_error_type(header: str) -> str:
    """The error type that telemetry shows for what the runtime said in `ERROR_TYPE` (lambda-platform.md 3.5)."""
    for family in ("Runtime.", "Function."):
        if _names_a_type(header, family):
            return header
    return "Function.Unknown" if header.startswith("Function.") else "Runtime.Unknown"


def _names_a_type(header: str, family: str) -> bool:
    at = header.find(family)
    while at >= 0:
        word = header[at + len(family) : at + len(family) + 2]
        if len(word) == 2 and word.isascii() and word.isalpha() and word[0].isupper():
            return True
        at = header.find(family, at + 1)
    return False


def error_document(request_id: str, error_type: str, message: str) -> bytes:
    """The function error that the platform itself writes to the invoker (lambda-platform.md 4.5, 9.4)."""
    return invoker_document(error_type, f"RequestId: {request_id} Error: {message}")


def invoker_document(error_type: str, message: str) -> bytes:
    """`errorType`, `errorMessage`, in that order, without a newline."""
    from tailrace.protocol.jsontext import dumps  # only an environment writes these

    return dumps({"errorType": error_type, "errorMessage": message}).encode("ascii")


def timeout_message(timeout_s: float) -> str:
    """``Task timed out after 3.00 seconds`` (lambda-platform.md 4.4)."""
    return f"Task timed out after {timeout_s:.2f} seconds"
