"""What the in-sandbox APIs answer when they refuse: one shape for all of them (lambda-platform.md 0.5)."""

from __future__ import annotations

from tailrace.protocol.jsontext import dumps, loads

CONTENT_TYPE = "Content-Type"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

STATUS_OK_BODY = b'{"status":"OK"}\n'
"""The body of every 202: response, error, init/error, exit/error."""

NOT_FOUND_BODY = b"404 page not found\n"
NOT_FOUND_HEADERS = ((CONTENT_TYPE, TEXT), ("X-Content-Type-Options", "nosniff"))


class ApiError:
    """A refusal: HTTP status, `errorType` and `errorMessage`."""

    __slots__ = ("error_type", "message", "status")

    def __init__(self, status: int, error_type: str, message: str) -> None:
        self.status = status
        self.error_type = error_type
        self.message = message

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ApiError):
            return NotImplemented
        mine = (self.status, self.error_type, self.message)
        return mine == (other.status, other.error_type, other.message)

    def __hash__(self) -> int:
        return hash((self.status, self.error_type, self.message))

    def __repr__(self) -> str:
        return f"ApiError({self.status}, {self.error_type!r}, {self.message!r})"

    def body(self) -> bytes:
        """`errorMessage`, `errorType`, in that order, then a newline."""
        return json_line({"errorMessage": self.message, "errorType": self.error_type})


INTERNAL_ERROR = ApiError(500, "InternalServerError", "Internal Server Error")


def decode_error(status: int, body: bytes) -> ApiError:
    """What a refusal says. Members that are absent or odd are empty; a body that is not JSON is the message."""
    text = body.decode("utf-8", "replace")
    try:
        value = loads(text)
    except ValueError:
        return ApiError(status, "", text.strip())
    if not isinstance(value, dict):
        return ApiError(status, "", text.strip())
    error_type, message = value.get("errorType"), value.get("errorMessage")
    return ApiError(
        status,
        error_type if isinstance(error_type, str) else "",
        message if isinstance(message, str) else "",
    )


def json_line(value: object) -> bytes:
    """JSON as the platform writes it: ``<``, ``>`` and ``&`` escaped, one newline at the end."""
    return json_text(dumps(value)) + b"\n"


def json_text(text: str) -> bytes:
    """JSON of our own as the platform writes it."""
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return escaped.encode("ascii", "backslashreplace")
