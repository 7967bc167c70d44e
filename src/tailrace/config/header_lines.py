"""Headers as the user writes them. Loaded where somebody does."""

from __future__ import annotations

from tailrace.config.headers import HttpHeaders
from tailrace.config.wording import ordinal
from tailrace.errors import ConfigError

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NAME_MAX_LENGTH = 60  # of one that is shown

# These frame the message, or tell batches apart: a fixed value would break deliveries or lose them.
RESERVED_HEADERS = frozenset(
    (
        "host", "content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive", "expect",
        "te", "trailer", "upgrade", "proxy-connection", "idempotency-key",
    )
)  # fmt: skip


def parse_headers(text: str, setting: str, problems: list[ConfigError]) -> HttpHeaders:
    """`text` holds ``Name: value``, one a line; blank lines are skipped.

    A bad line is left out and named in `problems`. No problem shows a line's text: where the colon is missing, all of
    it may be a secret.
    """
    pairs: list[tuple[str, str]] = []
    for index, line in enumerate(text.replace("\r\n", "\n").split("\n")):  # files edited on Windows
        if not line.strip(" \t"):
            continue
        place = f"{setting}, {ordinal(index)} line"
        try:
            pairs.append(_parse_line(line, place))
        except ConfigError as problem:
            problems.append(problem)
    return HttpHeaders(tuple(pairs))


def _parse_line(line: str, place: str) -> tuple[str, str]:
    if any(ch != "\t" and not " " <= ch <= "~" for ch in line):
        raise ConfigError(place, "a control or non-ASCII character stands in it", "one header a line, in ASCII")
    if line[0] in " \t":
        raise ConfigError(place, "it begins with a blank", "a header stands on one line: Name: value")
    name, colon, value = line.partition(":")
    if not colon:
        raise ConfigError(place, "it has no colon", "write Name: value, one header a line")
    return header_pair(name, value, place)


def is_header_name(text: str) -> bool:
    return bool(text) and len(text) <= _NAME_MAX_LENGTH and _TOKEN.issuperset(text)


def header_pair(name: str, value: str, place: str) -> tuple[str, str]:
    """One header, checked. Raises `ConfigError` for `place`, without its text."""
    if any(ch != "\t" and not " " <= ch <= "~" for ch in name + value):
        raise ConfigError(place, "a control or non-ASCII character stands in it", "one header a line, in ASCII")
    if not name or not _TOKEN.issuperset(name):
        raise ConfigError(place, "its name holds characters that no header name may hold", "write Name: value")
    if name.lower() in RESERVED_HEADERS:
        raise ConfigError(place, f"the header {name} cannot be set", "the agent sets it for each request")
    value = value.strip(" \t")
    if not value:
        raise ConfigError(place, "it has no value", "write Name: value, or leave the line out")
    return name, value
