"""The Telemetry API's subscription as data: bounds, defaults, validation, refusals (lambda-platform.md 5.1-5.5)."""

from __future__ import annotations

from tailrace.protocol.jsontext import dumps, loads
from tailrace.protocol.replies import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PATH = "/2022-07-01/telemetry"

SCHEMA_2022_07_01 = "2022-07-01"
SCHEMA_2022_12_13 = "2022-12-13"
SCHEMA_2025_01_29 = "2025-01-29"
SCHEMA_VERSIONS = (SCHEMA_2022_07_01, SCHEMA_2022_12_13, SCHEMA_2025_01_29)

PLATFORM, FUNCTION, EXTENSION = "platform", "function", "extension"
TYPES = (PLATFORM, FUNCTION, EXTENSION)
HTTP, TCP = "HTTP", "TCP"
HOSTS = ("sandbox.localdomain", "sandbox")
RESERVED_PORT = 9001

# name, least, most, default
MAX_ITEMS = ("maxItems", 1000, 10000, 10000)
MAX_BYTES = ("maxBytes", 262144, 1048576, 262144)
TIMEOUT_MS = ("timeoutMs", 25, 30000, 1000)
BUFFERING = (MAX_ITEMS, MAX_BYTES, TIMEOUT_MS)

OK_BODY = b'"OK"'
SUBSCRIPTION_CLOSED = ApiError(403, "Telemetry.SubscriptionClosed", "Telemetry API subscription is closed already")
NOT_SUPPORTED = ApiError(202, "Telemetry.NotSupported", "Telemetry API is not supported")
"""Answered by local environments without telemetry. A 2xx, and yet nothing will come (lambda-platform.md 5.2)."""

VALIDATION_ERROR_TYPE = "ValidationError"


class Subscription:
    """A valid subscription. `uri` is set for HTTP, `port` for TCP (0 otherwise); `types` in the order asked for.

    `method` is how batches are sent over HTTP: the Telemetry API knows no other than POST.
    """

    __slots__ = ("max_bytes", "max_items", "method", "port", "protocol", "schema_version", "timeout_ms", "types", "uri")

    def __init__(
        self,
        schema_version: str,
        types: tuple[str, ...],
        uri: str,
        max_items: int = MAX_ITEMS[3],
        max_bytes: int = MAX_BYTES[3],
        timeout_ms: int = TIMEOUT_MS[3],
        protocol: str = HTTP,
        port: int = 0,
        method: str = "POST",
    ) -> None:
        self.schema_version = schema_version
        self.types = types
        self.uri = uri
        self.max_items = max_items
        self.max_bytes = max_bytes
        self.timeout_ms = timeout_ms
        self.protocol = protocol
        self.port = port
        self.method = method

    def body(self) -> bytes:
        """The body of the PUT that asks for it."""
        destination: dict[str, object] = {"protocol": self.protocol}
        if self.protocol == TCP:
            destination["port"] = self.port
        else:
            destination["URI"] = self.uri
        if self.method != "POST":
            destination["method"] = self.method
        buffering = {"maxItems": self.max_items, "maxBytes": self.max_bytes, "timeoutMs": self.timeout_ms}
        members: dict[str, object] = {
            "schemaVersion": self.schema_version,
            "types": list(self.types),
            "buffering": buffering,
            "destination": destination,
        }
        return dumps(members).encode("ascii")


def parse_subscription(body: bytes) -> Subscription | ApiError:
    """Validate the PUT's body: all that is wrong with it stands in one 400, joined by ``; ``."""
    members, problems = decode_subscription(body)
    version = members.get("schemaVersion")
    if not problems and version not in SCHEMA_VERSIONS:
        problems.append(not_one_of("schemaVersion", version, SCHEMA_VERSIONS))
    found = validate(members, problems)
    return found or validation_error(VALIDATION_ERROR_TYPE, problems)


def decode_subscription(body: bytes) -> tuple[dict[str, object], list[str]]:
    """The members of a subscription's body, and the reason why there are none."""
    try:
        value = loads(body.decode("utf-8"))
    except ValueError as error:
        return {}, [f"failed to parse JSON: {error}"]
    if not isinstance(value, dict):
        return {}, ["failed to parse JSON: the body is not a JSON object"]
    return value, []


def validate(members: dict[str, object], problems: list[str]) -> Subscription | None:
    """What Telemetry API and Logs API have in common. Appends what is wrong; None where anything is."""
    if problems and not members:
        return None
    protocol, uri, port = _destination(members.get("destination"), problems)
    types = _types(members.get("types"), problems)
    bounds = _buffering(members.get("buffering", {}), problems)
    if problems:
        return None
    version = members.get("schemaVersion")
    return Subscription(
        version if isinstance(version, str) else "", types, uri, bounds[0], bounds[1], bounds[2], protocol, port
    )


def validation_error(error_type: str, problems: Sequence[str]) -> ApiError:
    return ApiError(400, error_type, "; ".join(problems))


def _types(value: object, problems: list[str]) -> tuple[str, ...]:
    if value is None or value == []:
        problems.append("types should not be empty")
        return ()
    if not isinstance(value, list):
        problems.append(f"types is {_shown(value)}, not a list")
        return ()
    for kind in value:
        if kind not in TYPES:
            problems.append(not_one_of("types", kind, TYPES))
            return ()
    return tuple(dict.fromkeys(value))


def _buffering(value: object, problems: list[str]) -> list[int]:
    if not isinstance(value, dict):
        problems.append(f"buffering is {_shown(value)}, not an object")
        return []
    bounds = []
    for name, least, most, default in BUFFERING:
        number = value.get(name, default)
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
            problems.append(f"buffering.{name} is {_shown(number)}, not a whole number from {least} to {most}")
        else:
            bounds.append(number)
    return bounds


def _destination(value: object, problems: list[str]) -> tuple[str, str, int]:
    nowhere = ("", "", 0)
    if not isinstance(value, dict):
        found = "not provided" if value is None else f"{_shown(value)}, not an object"
        problems.append(f"destination is {found}")
        return nowhere
    protocol = value.get("protocol")
    if protocol == HTTP:
        uri = value.get("URI")
        problem = uri_problem(uri)
        if problem:
            problems.append(problem)
        return (HTTP, uri if isinstance(uri, str) else "", 0)
    if protocol == TCP:
        port = value.get("port")
        if isinstance(port, int) and not isinstance(port, bool) and _port_is_allowed(port):
            return (TCP, "", port)
        found = (
            "not provided"
            if port is None
            else f"{_shown(port)}, not a number from 1 to 65535 other than {RESERVED_PORT}"
        )
        problems.append(f"destination.port is {found}")
        return nowhere
    problems.append(not_one_of("destination.protocol", protocol, (HTTP, TCP)))
    return nowhere


def uri_problem(uri: object) -> str:
    """What is wrong with a `destination.URI`, or an empty text (lambda-platform.md 5.5)."""
    if uri is None or uri == "":
        return "URI is not provided"
    if (
        not isinstance(uri, str)
        or not uri.startswith("http://")
        or not uri.isascii()
        or not uri.isprintable()
        or " " in uri
    ):
        return f"URI {_shown(uri)} is not of the form http://sandbox.localdomain:PORT/PATH"
    authority = uri[len("http://") :]
    for end in "/?#":
        authority = authority.partition(end)[0]
    host, colon, port = authority.rpartition("@")[2].rpartition(":")  # user information is accepted, as recorded
    if not colon or not port:
        host = authority.rpartition("@")[2].rstrip(":")
    if host not in HOSTS:
        return f"URI host is {_shown(host)}, not {HOSTS[0]}"
    if not colon or not port:
        return "URI port is not provided"
    if not port.isdigit() or len(port) > 5 or not _port_is_allowed(int(port)):
        return f"URI port is {_shown(port)}, not a number from 1 to 65535 other than {RESERVED_PORT}"
    return ""


def _port_is_allowed(port: int) -> bool:
    return 1 <= port <= 65535 and port != RESERVED_PORT


def not_one_of(name: str, found: object, allowed: Sequence[str]) -> str:
    """What is wrong with a member that is to be one of a few words."""
    if found is None:
        return f"{name} is not provided"
    return f"{name} is {_shown(found)}, not one of {', '.join(allowed)}"


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    try:
        text = dumps(value)
    except ValueError:  # an infinite number, which JSON text can spell as 1e999
        text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
