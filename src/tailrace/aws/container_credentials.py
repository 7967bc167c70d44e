"""Credentials that expire, from the endpoint that Lambda names under SnapStart (lambda-platform.md 1.5)."""

from __future__ import annotations

from tailrace.aws.credentials import CONTAINER_URI, Credentials
from tailrace.errors import ConfigError, ConnectError, TransportError
from tailrace.protocol.jsontext import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    # GET of a URL with headers: status and body. Raises `TransportError` where there is no answer.
    Fetch = Callable[[str, list[tuple[str, str]]], tuple[int, bytes]]
    # A time as RFC 3339 in milliseconds since 1970, or None.
    ParseTime = Callable[[str], int | None]

# Fresh ones are asked for this long before the old ones end: a request that is signed now arrives later.
REFRESH_BEFORE_S = 300.0
_SETTING = "AWS credentials"
# Answers that pass by themselves, as all of 500 and above do.
_PASSING = (408, 425, 429)


class ContainerCredentials:
    """Asks when there are none, and again before they expire, by the wall clock: it goes on while a sandbox stands
    still, so the first request after a long freeze has fresh ones. Used by one thread or several, each asking for
    itself at worst."""

    __slots__ = ("_credentials", "_expires_s", "_fetch", "_parse_time", "_token", "_url")

    def __init__(self, url: str, token: str, fetch: Fetch, parse_time: ParseTime) -> None:
        self._url = url
        self._token = token
        self._fetch = fetch
        self._parse_time = parse_time
        self._credentials: Credentials | None = None
        self._expires_s = 0.0

    def __call__(self, wall_s: float) -> Credentials:
        """Old ones are used to their end. Where there are none then: raises `ConfigError` if they are refused, and
        `ConnectError` if there is only no answer for the moment, so that it is asked again as soon as anything is."""
        known = self._credentials
        if known is not None and wall_s < self._expires_s - REFRESH_BEFORE_S:
            return known
        try:
            return self._renew()
        except (ConfigError, ConnectError):
            if known is not None and wall_s < self._expires_s:
                return known
            raise

    def _renew(self) -> Credentials:
        headers = [("Authorization", self._token)] if self._token else []
        try:
            status, body = self._fetch(self._url, headers)
        except TransportError as error:
            raise ConnectError(f"{_SETTING}: {CONTAINER_URI} does not answer ({error.reason})") from error
        if status >= 500 or status in _PASSING:
            raise ConnectError(f"{_SETTING}: {CONTAINER_URI} answers with status {status}")
        if status != 200:
            raise _unusable(f"{CONTAINER_URI} answers with status {status}")
        found = _decoded(body)
        words = [found.get(name) for name in ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")]
        access_key_id, secret_access_key, session_token, expiration = (w if isinstance(w, str) else "" for w in words)
        if not access_key_id or not secret_access_key or not _is_header_safe(session_token):
            raise _unusable(f"{CONTAINER_URI} answers with something else than credentials")
        expires_ms = self._parse_time(expiration)
        self._expires_s = expires_ms / 1000 if expires_ms is not None else 0.0  # unknown: ask each time
        self._credentials = Credentials(access_key_id, secret_access_key, session_token)
        return self._credentials


def _decoded(body: bytes) -> dict[str, object]:
    try:
        value = loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_header_safe(text: str) -> bool:
    return all("!" <= ch <= "~" for ch in text)


def _unusable(found: str) -> ConfigError:
    return ConfigError(_SETTING, found, "the platform provides it; the records are kept and it is asked again")
