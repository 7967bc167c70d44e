"""The metadata endpoint as data (lambda-platform-2026.md 2)."""

from __future__ import annotations

from tailrace.protocol.jsontext import dumps

PATH = "/2026-01-15/metadata/execution-environment"
METHOD = "GET"

API_VARIABLE = "AWS_LAMBDA_METADATA_API"
TOKEN_VARIABLE = "AWS_LAMBDA_METADATA_TOKEN"  # noqa: S105 - the name of a variable
AUTHORIZATION = "Authorization"
SCHEME = "Bearer "
CACHE_CONTROL = ("Cache-Control", "private, max-age=43200, immutable")

UNAUTHORIZED_BODY = b"Unauthorized\n"
METHOD_NOT_ALLOWED_BODY = b"Method Not Allowed\n"
UNAVAILABLE_BODY = b"Service Unavailable\n"

_DIRECTIONS = {
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "central": "c",
    "northeast": "ne",
    "northwest": "nw",
    "southeast": "se",
    "southwest": "sw",
}


def authorizes(header: str, token: str) -> bool:
    """Whether the `AUTHORIZATION` header carries the token; its scheme is compared as it is written."""
    return bool(token) and header == SCHEME + token


def document(zone_id: str) -> bytes:
    return dumps({"AvailabilityZoneID": zone_id}).encode("ascii")


def first_zone_id(region: str) -> str:
    """The id of a region's first zone in AWS's way of naming: ``use1-az1`` for ``us-east-1``, ``usgw1-az1`` for
    ``us-gov-west-1``. Empty where `region` is named like none."""
    parts = region.split("-")
    direction = _DIRECTIONS.get(parts[-2], "") if len(parts) >= 3 else ""
    if not direction or not parts[-1].isdigit():
        return ""
    area = parts[0] + "".join([part[:1] for part in parts[1:-2]])
    return f"{area}{direction}{parts[-1]}-az1"
