"""How a URL is shown where something is wrong with it. Loaded only then, and by commands that show one as written."""

from __future__ import annotations

from tailrace.config.urls import MASK, SCHEME_CHARACTERS, looks_like_token, masked_path, without_secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.config.urls import Url

_SCHEME_MAX_LENGTH = 8


def in_error(url: Url, plain_path: bool = True) -> str:
    """`url` in the text of an error, where something is wrong with it: no value of its query is shown, and nothing that
    may stand in another place than its author thinks. Without `plain_path` nothing behind the scheme is."""
    head = url.path.replace("\\", ":")
    if not plain_path or not url.has_authority or (not url.host and ":" in head):
        return f"{url.scheme}:{MASK}"
    return without_secrets(url)


def shown(text: str) -> str:
    """`text`, meant as a URL but not (yet) understood, as far as it can be shown without its secrets."""
    head, question, _ = text.partition("#")[0].partition("?")
    scheme, separator, rest = head.partition("://")
    if not separator:
        return f"{shown_scheme(text) or MASK}:{MASK}" if ":" in head else MASK
    before, at, after = rest.rpartition("@")
    host, slash, path = after.partition("/")
    broken_off = "@" in text[len(head) :] or (":" in host and not host.rpartition(":")[2].isdigit())
    if (not at and broken_off) or (not host and ":" in path):  # may be a user and the first half of a password
        host, path = MASK, ""
    rest = (f"{MASK}@" if before or at else "") + host + slash + masked_path(path)
    return f"{masked_path(scheme)}://{rest}"[:200] + (f"?{MASK}" if question else "")


def shown_scheme(text: str) -> str:
    """The scheme of `text` where it cannot be anything else, such as a user's name or half of a password."""
    scheme = text.partition(":")[0]
    is_scheme = text.startswith("://", len(scheme)) or (len(scheme) <= _SCHEME_MAX_LENGTH and "@" not in text)
    return scheme if is_scheme and not looks_like_token(scheme) and SCHEME_CHARACTERS.issuperset(scheme) else ""


def schemeless(text: str) -> str:
    """A path is shown, as it is a usual slip; anything else may be half of a password with a blank in it."""
    return f'"{masked_path(text)[:200]}"' if text.startswith(("/", "./")) and "@" not in text else f'"{MASK}"'
