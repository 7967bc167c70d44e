"""URLs: a small parser (`urllib.parse` would cost a cold start 14 ms), and how one is shown without its secrets."""

from __future__ import annotations

from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

MASK = "***"

_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
SCHEME_CHARACTERS = _ALNUM | frozenset("+-.")
_HOST = _ALNUM | frozenset("-._")
_HEX = frozenset("0123456789abcdefABCDEF")
_IPV6 = _HEX | frozenset(":.")
_TOKEN_MIN_LENGTH = 24


class QueryItem:
    """One ``key=value`` of a query: decoded, and `raw` as it was written. A key without ``=`` has the value None."""

    __slots__ = ("key", "raw", "value")

    def __init__(self, key: str, value: str | None, raw: str) -> None:
        self.key = key
        self.value = value
        self.raw = raw

    def __repr__(self) -> str:
        return f"QueryItem({_masked_item(self, ())!r})"


class Url:
    """A URL in its parts. `username`, `password` are decoded; `host` stands without brackets; `path` as written."""

    __slots__ = ("has_authority", "host", "password", "path", "port", "query", "scheme", "username")

    def __init__(self, scheme: str, path: str, query: tuple[QueryItem, ...] = ()) -> None:
        self.scheme = scheme
        self.has_authority = False
        self.username: str | None = None
        self.password: str | None = None
        self.host = ""
        self.port: int | None = None
        self.path = path
        self.query = query

    def __repr__(self) -> str:
        return f"Url({without_secrets(self)!r})"


def parse_url(text: str, setting: str) -> Url:
    """`text` in its parts. Raises `ConfigError` for `setting`; what it says about the text holds no secret."""
    if any(ch <= " " or ch == "\x7f" or "\ud800" <= ch <= "\udfff" for ch in text):
        raise ConfigError(setting, "the URL holds a blank, a control character or broken UTF-8", "percent-encode it")
    scheme, colon, rest = text.partition(":")
    if not colon or not scheme[:1].isalpha() or not SCHEME_CHARACTERS.issuperset(scheme):
        from tailrace.config.wrong_urls import schemeless

        raise ConfigError(setting, f"no scheme in {schemeless(text)}", "write scheme://..., like file:///tmp/logs")
    if "#" in rest:
        from tailrace.config.wrong_urls import shown

        found = f'"#" starts a fragment, which is never sent, in "{shown(text)}"'
        raise ConfigError(setting, found, "write %23 where the character itself is meant")
    location, _, query = rest.partition("?")
    authority, slash, path = "", "", location
    has_authority = location.startswith("//")
    if has_authority:
        authority, slash, path = location[2:].partition("/")
    try:
        url = Url(scheme.lower(), slash + path, _parse_query(query))
        decode(url.path)
        if has_authority:
            _put_authority(url, authority)
    except ValueError as error:
        from tailrace.config.wrong_urls import shown_scheme

        found = f'{error} in "{shown_scheme(text).lower() or MASK}:{MASK}"'
        raise ConfigError(setting, found, "write scheme://HOST[:PORT]/PATH, the port a number up to 65535") from None
    return url


def decode(text: str) -> str:
    """`text` with its percent escapes decoded. Raises `ValueError` (without naming the text) where they are broken."""
    if "%" not in text:
        return text
    first, *others = text.split("%")
    parts = [first.encode()]
    try:
        for other in others:
            if len(other) < 2 or not _HEX.issuperset(other[:2]):
                raise ValueError
            parts.append(bytes((int(other[:2], 16),)) + other[2:].encode())
        return b"".join(parts).decode("utf-8")
    except ValueError:
        raise ValueError("a percent escape that is not two hexadecimal digits of UTF-8") from None


def encode(text: str, keep: str) -> str:
    """`text` with every byte but letters, digits, ``-._~`` and those of `keep` percent-escaped (RFC 3986)."""
    if all(ch in _ALNUM or ch in "-._~" or ch in keep for ch in text):
        return text
    keep_bytes = ("-._~" + keep).encode()
    return "".join(
        chr(byte) if chr(byte) in _ALNUM or byte in keep_bytes else f"%{byte:02X}" for byte in text.encode("utf-8")
    )


def without_secrets(url: Url, own_keys: Container[str] = (), mask_path: bool = True) -> str:
    """`url` as text for people and ledgers.

    User information is masked, the values of query keys that are not `own_keys`, and (with `mask_path`) the path's
    segments that look like tokens, as in the addresses of Sumo Logic's sources (destinations.md B1). What stands before
    an ``@`` is masked wherever it is: slashes are easily mistyped, and then it is a password in a path or a query.
    """
    text = url.scheme + ":"
    if url.has_authority:
        user = f"{MASK}@" if url.username is not None else ""
        host = f"[{url.host}]" if ":" in url.host else url.host
        text += f"//{user}{host}" + (f":{url.port}" if url.port is not None else "")
    if any("@" in item.raw for item in url.query):
        return text + (url.path if url.path in ("", "/") else f"/{MASK}") + f"?{MASK}"
    text += masked_path(url.path, mask_path)
    if url.query:
        text += "?" + "&".join(_masked_item(item, own_keys) for item in url.query)
    return text


def looks_like_token(segment: str) -> bool:
    """Whether a path's segment is rather a key than a word: 24 or more characters, letters and digits mixed."""
    if len(segment) < _TOKEN_MIN_LENGTH:
        return False
    return any(ch.isalpha() for ch in segment) and any(ch.isdigit() for ch in segment)


def masked_path(path: str, mask_tokens: bool = True) -> str:
    """A path without what stands before an ``@`` in it, and without the segments that look like tokens."""
    before, at, after = path.rpartition("@")
    if at:
        return ("/" if before.startswith("/") else "") + f"{MASK}@{masked_path(after, mask_tokens)}"
    if not mask_tokens:
        return path
    return "/".join(MASK if looks_like_token(segment) else segment for segment in path.split("/"))


def _masked_item(item: QueryItem, own_keys: Container[str]) -> str:
    if "@" in item.raw or item.value is None:
        return MASK
    value = item.value if item.key in own_keys else ""
    if value and not ("://" in value and masked_path(value) != value):  # an endpoint
        return item.raw
    key = item.raw.partition("=")[0]
    return MASK if looks_like_token(key) else f"{key}={MASK}"


def _parse_query(text: str) -> tuple[QueryItem, ...]:
    items = []
    for raw in text.split("&"):
        if raw:
            key, equals, value = raw.partition("=")
            items.append(QueryItem(decode(key), decode(value) if equals else None, raw))
    return tuple(items)


def _put_authority(url: Url, authority: str) -> None:
    """Fill in user information, host and port. Raises `ValueError` naming the part but not its text."""
    url.has_authority = True
    user, at, place = authority.rpartition("@")
    if at:
        name, colon, password = user.partition(":")
        url.username = decode(name)
        url.password = decode(password) if colon else None
    if place.startswith("["):
        host, bracket, port = place[1:].partition("]")
        if not bracket or host.count(":") < 2 or not _IPV6.issuperset(host) or port[:1] not in ("", ":"):
            raise ValueError("an IPv6 address that cannot be read (it must look like [::1]:8080)")
        url.host, port = host, port[1:]
    else:
        url.host, _, port = place.partition(":")
        if not _HOST.issuperset(url.host):
            raise ValueError("a host name with other characters than letters, digits, - . and _")
    if port:
        url.port = _port(port)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise ValueError("a port that is not a number from 1 to 65535 (an IPv6 address must stand in brackets)")
    return int(text)
