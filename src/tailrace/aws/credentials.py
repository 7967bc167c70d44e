"""Credentials of the function's role, as Lambda hands them to every process (lambda-platform.md 1.1, 1.5)."""

from __future__ import annotations

from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # Asked once a request with the time (seconds since 1970), so that a source may renew what it gives. Raises
    # `ConfigError` where there is nothing, `ConnectError` where it does not answer now.
    CredentialsSource = Callable[[float], "Credentials"]

ACCESS_KEY_ID = "AWS_ACCESS_KEY_ID"
SECRET_ACCESS_KEY = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - a name, not a secret
SESSION_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105 - a name, not a secret
AUTHORIZATION_TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - a name, not a secret
CONTAINER_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"


class Credentials:
    """One set of keys. Its repr hides them."""

    __slots__ = ("access_key_id", "secret_access_key", "session_token")

    def __init__(self, access_key_id: str, secret_access_key: str, session_token: str = "") -> None:
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self.session_token = session_token

    def __repr__(self) -> str:
        return "Credentials(***)"


def credentials_source(
    environ: Mapping[str, str], container: Callable[[str, str], CredentialsSource] | None = None
) -> CredentialsSource:
    """Where credentials come from in this environment: static keys, or else the endpoint that it names, which
    `container` makes a source of (URL, token). Their absence shows at the first request, not here."""
    has_keys = environ.get(ACCESS_KEY_ID) or environ.get(SECRET_ACCESS_KEY)
    url = environ.get(CONTAINER_URI, "").strip()
    if url and not has_keys and container is not None:
        return container(url, environ.get(AUTHORIZATION_TOKEN, "").strip())
    return lambda _: environment_credentials(environ)


def environment_credentials(environ: Mapping[str, str]) -> Credentials:
    """The static keys of `environ`. Raises `ConfigError` naming what is missing, never a value."""
    access_key_id = _value(environ, ACCESS_KEY_ID)
    secret_access_key = _value(environ, SECRET_ACCESS_KEY)
    if access_key_id and secret_access_key:
        return Credentials(access_key_id, secret_access_key, _value(environ, SESSION_TOKEN))
    if access_key_id or secret_access_key:
        there, missing = ACCESS_KEY_ID, SECRET_ACCESS_KEY
        if secret_access_key:
            there, missing = missing, there
        raise ConfigError("AWS credentials", f"{there} is set but {missing} is not", "set both")
    raise ConfigError(
        "AWS credentials",
        f"neither {ACCESS_KEY_ID} nor {SECRET_ACCESS_KEY} is set",
        f"Lambda sets both for the function's role; elsewhere set both, and {SESSION_TOKEN} for temporary keys",
    )


def _value(environ: Mapping[str, str], name: str) -> str:
    """A value that can stand in a header. Blanks around it are a slip of copying."""
    value = environ.get(name, "").strip()
    if any(not "!" <= ch <= "~" for ch in value):
        raise ConfigError(name, "it holds a blank, a control or a non-ASCII character", "copy the value again")
    return value
