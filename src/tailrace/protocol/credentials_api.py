"""The container credentials endpoint as data (lambda-platform.md 1.5)."""

from __future__ import annotations

from tailrace.protocol.jsontext import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/2021-04-23/credentials"
METHOD = "GET"

URI_VARIABLE = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN_VARIABLE = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - the name of a variable
AUTHORIZATION = "Authorization"

STATIC_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""What stands there instead of the two above, where credentials are static."""

REFUSED_BODY = b"cannot get credentials for the provided token\n"


def uri(api: str) -> str:
    """What `URI_VARIABLE` says; `api` is host and port."""
    return f"http://{api}{PATH}"


def document(credentials: Mapping[str, str], expiration: str) -> bytes:
    """The answer; `credentials` are named like `STATIC_VARIABLES`, `expiration` is RFC 3339."""
    members = zip(("AccessKeyId", "SecretAccessKey", "Token"), STATIC_VARIABLES, strict=True)
    found: dict[str, str] = {member: credentials.get(variable, "") for member, variable in members}
    return dumps({**found, "Expiration": expiration}).encode("ascii")
