"""The Logs API, the Telemetry API's predecessor, as data: what differs from it (lambda-platform.md 7)."""

from __future__ import annotations

from tailrace.protocol.replies import ApiError
from tailrace.protocol.telemetry_api import Subscription, decode_subscription, not_one_of, validate, validation_error

PATH = "/2020-08-15/logs"

SCHEMA_2020_08_15 = "2020-08-15"
SCHEMA_2021_03_18 = "2021-03-18"
SCHEMA_VERSIONS = (SCHEMA_2020_08_15, SCHEMA_2021_03_18)
"""The later one adds `platform.runtimeDone`; the former is the default."""

METHODS = ("POST", "PUT")
ENCODINGS = ("JSON",)

SUBSCRIPTION_CLOSED = ApiError(403, "Logs.SubscriptionClosed", "Logs API subscription is closed already")
NOT_SUPPORTED = ApiError(202, "Logs.NotSupported", "Logs API is not supported")
VALIDATION_ERROR_TYPE = "Logs.ValidationError"


def parse_subscription(body: bytes) -> Subscription | ApiError:
    """Validate the PUT's body: all that is wrong with it stands in one 400, joined by ``; ``.

    Its destination may name a method, PUT for example, by which batches are sent (lambda-platform.md 7.1).
    """
    members, problems = decode_subscription(body)
    if members:
        members.setdefault("schemaVersion", SCHEMA_2020_08_15)
        _check_choice("schemaVersion", members["schemaVersion"], SCHEMA_VERSIONS, problems)
    destination = members.get("destination")
    method: object = "POST"
    if isinstance(destination, dict):
        method = destination.get("method", "POST")
        _check_choice("destination.method", method, METHODS, problems)
        _check_choice("destination.encoding", destination.get("encoding", "JSON"), ENCODINGS, problems)
    found = validate(members, problems)
    if found is None:
        return validation_error(VALIDATION_ERROR_TYPE, problems)
    found.method = str(method)
    return found


def _check_choice(name: str, value: object, allowed: tuple[str, ...], problems: list[str]) -> None:
    if value not in allowed:
        problems.append(not_one_of(name, value, allowed))
