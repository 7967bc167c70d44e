"""The Extensions API as data: paths, headers, limits, refusals, bodies of both directions (lambda-platform.md 2)."""

from __future__ import annotations

from tailrace.errors import ProtocolError
from tailrace.protocol.jsontext import dumps, loads, quote
from tailrace.protocol.replies import CONTENT_TYPE, JSON, ApiError, json_line, json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = "/2020-01-01/extension"
REGISTER = ROOT + "/register"
NEXT = ROOT + "/event/next"
INIT_ERROR = ROOT + "/init/error"
EXIT_ERROR = ROOT + "/exit/error"

NAME = "Lambda-Extension-Name"
IDENTIFIER = "Lambda-Extension-Identifier"
EVENT_IDENTIFIER = "Lambda-Extension-Event-Identifier"
ERROR_TYPE = "Lambda-Extension-Function-Error-Type"
ACCEPT_FEATURE = "Lambda-Extension-Accept-Feature"
ACCOUNT_ID_FEATURE = "accountId"

INVOKE = "INVOKE"
SHUTDOWN = "SHUTDOWN"
EVENTS = (INVOKE, SHUTDOWN)
SPINDOWN, TIMEOUT, FAILURE = "spindown", "timeout", "failure"

MAX_EXTENSIONS = 10
TRACE_TYPE = "X-Amzn-Trace-Id"

EMPTY_NAME = ApiError(403, "Extension.InvalidExtensionName", "Empty extension name")
CONFIGURATION_KEYS = ApiError(
    403, "InvalidRequestFormat", "configurationKeys are deprecated; use environment variables instead"
)
DUPLICATE_NAME = ApiError(403, "Extension.InvalidExtensionState", "Extension with this name already registered")
REGISTRATION_CLOSED = ApiError(403, "Extension.RegistrationClosed", "Extension registration closed already")
TOO_MANY_EXTENSIONS = ApiError(403, "Extension.TooManyExtensions", f"Extension limit ({MAX_EXTENSIONS}) reached")
MISSING_IDENTIFIER = ApiError(403, "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
INVALID_IDENTIFIER = ApiError(403, "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
UNKNOWN_IDENTIFIER = ApiError(403, "Extension.UnknownExtensionIdentifier", "Unknown Lambda-Extension-Identifier")
"""As init/error and exit/error say it; `unknown_extension` is how the other calls do."""
MISSING_ERROR_TYPE = ApiError(403, "Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
SHUTDOWN_NOT_FOR_INTERNAL = ApiError(
    403, "Extension.InvalidEventType", "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"
)


def unknown_extension(identifier: str) -> ApiError:
    return ApiError(403, "Extension.UnknownExtensionIdentifier", f"Unknown extension {identifier}")


def invalid_request_format(message: str) -> ApiError:
    return ApiError(403, "InvalidRequestFormat", message)


def invalid_event_type(event: str) -> ApiError:
    return ApiError(403, "Extension.InvalidEventType", f"{event}: ErrorInvalidEventType")


def invalid_transition(who: str, from_state: str, to_state: str) -> ApiError:
    """`who` is the name for register, the identifier for every other call (lambda-platform.md 2.3, 2.6)."""
    return ApiError(
        403,
        "Extension.InvalidExtensionState",
        f"State transition from {from_state} to {to_state} failed for extension {who}. "
        "Error: State transition is not allowed",
    )


def parse_identifier(text: str) -> str | None:
    """The canonical form of a UUID, or None. Upper case, braces and a URN prefix are accepted, as recorded."""
    text = text.lower()
    if text.startswith("urn:uuid:"):
        text = text[9:]
    elif text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    if len(text) == 36 and text[8] == text[13] == text[18] == text[23] == "-":
        digits = text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:]
    else:
        digits = text
    if len(digits) != 32 or digits.strip("0123456789abcdef"):
        return None
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


# ---- register


def register_request(name: str, events: Sequence[str], account_id: bool = False) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of POST register."""
    headers = [(NAME, name), (CONTENT_TYPE, JSON)]
    if account_id:
        headers.append((ACCEPT_FEATURE, ACCOUNT_ID_FEATURE))
    return headers, dumps({"events": list(events)}).encode("ascii")


def parse_register_body(body: bytes) -> tuple[str, ...] | ApiError:
    """The events asked for, each once and in order, or the refusal (lambda-platform.md 2.3)."""
    try:
        value = loads(body.decode("utf-8"))
    except ValueError as error:
        return invalid_request_format(_decoder_text(body, error))
    if value is None:
        return ()
    if not isinstance(value, dict):
        return invalid_request_format("the body is not a JSON object")
    if value.get("configurationKeys"):
        return CONFIGURATION_KEYS
    events = value.get("events")
    if events is None:
        return ()
    if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
        return invalid_request_format("events is not a list of strings")
    for event in events:
        if event not in EVENTS:
            return invalid_event_type(event)
    return tuple(dict.fromkeys(events))


def _decoder_text(body: bytes, error: ValueError) -> str:
    """The decoder's text where it is known for certain: input that is empty or ends too early."""
    if not body.strip() or body.count(b"{") + body.count(b"[") > body.count(b"}") + body.count(b"]"):
        return "unexpected end of JSON input"
    return f"the body is not JSON: {error}"


def accepts_account_id(header: str) -> bool:
    """Whether `ACCEPT_FEATURE` asks for the account id; unknown features are ignored (lambda-platform.md 2.2)."""
    return ACCOUNT_ID_FEATURE in [feature.strip() for feature in header.split(",")]


def register_reply(function_name: str, version: str, handler: str, account_id: str | None) -> bytes:
    members = {"functionName": function_name, "functionVersion": version, "handler": handler}
    if account_id:
        members["accountId"] = account_id
    return json_line(members)


class Registration:
    """What register answered: the identifier for every later call, and who the function is."""

    __slots__ = ("account_id", "function_name", "function_version", "handler", "identifier")

    def __init__(
        self, identifier: str, function_name: str, function_version: str, handler: str, account_id: str
    ) -> None:
        self.identifier = identifier
        self.function_name = function_name
        self.function_version = function_version
        self.handler = handler
        self.account_id = account_id


def decode_register_reply(headers: Iterable[tuple[str, str]], body: bytes) -> Registration:
    """Read a 200 of register. Raises `ProtocolError` where the identifier is missing or the body is no object."""
    identifier = {name.lower(): value for name, value in headers}.get(IDENTIFIER.lower(), "")
    if not identifier:
        raise ProtocolError(f"the answer to register has no {IDENTIFIER} header")
    members = _object(body, "the answer to register")
    return Registration(
        identifier,
        _text(members, "functionName"),
        _text(members, "functionVersion"),
        _text(members, "handler"),
        _text(members, "accountId"),
    )


# ---- event/next


class LifecycleEvent:
    """What `next` answered. `type` is ``INVOKE``, ``SHUTDOWN`` or something newer; absent members are empty."""

    __slots__ = ("deadline_ms", "invoked_arn", "request_id", "shutdown_reason", "trace_value", "type")

    def __init__(
        self,
        type_: str,
        deadline_ms: int,
        request_id: str = "",
        invoked_arn: str = "",
        trace_value: str = "",
        shutdown_reason: str = "",
    ) -> None:
        self.type = type_
        self.deadline_ms = deadline_ms
        self.request_id = request_id
        self.invoked_arn = invoked_arn
        self.trace_value = trace_value
        self.shutdown_reason = shutdown_reason

    def body(self) -> bytes:
        """As the platform sends it, without a newline (lambda-platform.md 2.5; as recorded)."""
        if self.type == SHUTDOWN:
            return json_line(
                {"eventType": SHUTDOWN, "deadlineMs": self.deadline_ms, "shutdownReason": self.shutdown_reason}
            ).rstrip()
        tracing = (
            f',"tracing":{{"type":{quote(TRACE_TYPE)},"value":{quote(self.trace_value)}}}' if self.trace_value else ""
        )
        return json_text(
            f'{{"eventType":{quote(self.type)},"deadlineMs":{self.deadline_ms},"requestId":{quote(self.request_id)},'
            f'"invokedFunctionArn":{quote(self.invoked_arn)}{tracing}}}'
        )


def decode_event(body: bytes) -> LifecycleEvent:
    """Read a 200 of `next`. Raises `ProtocolError` where it is no object or names no event type.

    The reason is lower case whatever came: the documentation writes upper case (lambda-platform.md 2.5).
    """
    members = _object(body, "the answer to next")
    kind = _text(members, "eventType")
    if not kind:
        raise ProtocolError("the answer to next has no eventType")
    deadline_ms = members.get("deadlineMs")
    tracing = members.get("tracing")
    return LifecycleEvent(
        kind,
        int(deadline_ms) if isinstance(deadline_ms, int | float) else 0,
        _text(members, "requestId"),
        _text(members, "invokedFunctionArn"),
        _text(tracing, "value") if isinstance(tracing, dict) else "",
        _text(members, "shutdownReason").lower(),
    )


def error_request(identifier: str, error_type: str, message: str) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of POST init/error and exit/error; the type is made fit for a header."""
    safe = "".join([character if character.isascii() and character.isprintable() else " " for character in error_type])
    body = dumps({"errorMessage": message, "errorType": safe, "stackTrace": []}).encode("ascii")
    return [(IDENTIFIER, identifier), (ERROR_TYPE, safe), (CONTENT_TYPE, JSON)], body


def _object(body: bytes, what: str) -> dict[str, object]:
    try:
        value = loads(body.decode("utf-8", "replace"))
    except ValueError as error:
        raise ProtocolError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} is not a JSON object")
    return value


def _text(members: dict[str, object], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""
