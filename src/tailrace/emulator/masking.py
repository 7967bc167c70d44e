"""Secrets in what a run writes down: replaced by as many asterisks, so that sizes stay what they were.

In whatever form a secret stands there, it gives the same number of asterisks: what follows from a masked text is then
what followed from the text, masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tailrace.emulator.url_secrets import spans_in, telling

_SENSITIVE = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|APIKEY|(?:^|_)(?:KEY|KEYS|KEY_ID|AUTH|PWD|DSN|PAT|COOKIE|HEADERS)(?:_|$)"
)
_USER_INFORMATION = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_CONTROL = {"\n": "n", "\r": "r", "\t": "t"}
_MIN_CHARS = 8
"""A shorter value is masked where it stands as a variable's; elsewhere it could be any word."""


def is_sensitive(name: str) -> bool:
    """Whether a variable of this name holds a secret, as far as a name can tell."""
    return _SENSITIVE.search(name.upper()) is not None


class Masker:
    """Masks the values of sensitive variables wherever they stand, user information in addresses, and what else is
    secret in the URLs of destinations."""

    def __init__(self, *variables: Mapping[str, str], secrets: Iterable[str] = ()) -> None:
        values = [*secrets]
        for mapping in variables:
            values += [part for name, value in mapping.items() if is_sensitive(name) for part in _parts(value)]
            values += [found for value in mapping.values() for found in _USER_INFORMATION.findall(value)]
            values += [found for value in mapping.values() for found in _in_urls(value) if telling(found)]
        long = sorted({value for value in values if len(value) >= _MIN_CHARS}, key=len, reverse=True)
        self._patterns = [(re.compile("".join(map(_any_form, value))), _stars(value)) for value in long]

    def text(self, text: str) -> str:
        """A text without the secrets."""
        for pattern, stars in self._patterns:
            text = pattern.sub(stars, text)
        return _USER_INFORMATION.sub(lambda found: _stars(found[0]), text) if "://" in text else text

    def value(self, name: str, value: str) -> str:
        """The value of a variable."""
        if is_sensitive(name):
            return _stars(value)
        for start, stop in reversed(spans_in(value)):
            value = value[:start] + _stars(value[start:stop]) + value[stop:]
        return self.text(value)


def _in_urls(value: str) -> list[str]:
    return [value[start:stop] for start, stop in spans_in(value)]


def _parts(value: str) -> list[str]:
    """The value, and what stands behind the names where it is a list of headers."""
    return [value, *(line.partition(":")[2].strip() for line in value.splitlines() if ":" in line)]


def _any_form(char: str) -> str:
    """A pattern for a character by itself, or escaped as in JSON, once or again."""
    if char in _CONTROL:
        return rf"(?:{char}|\\+{_CONTROL[char]})"
    if char in '"\\/':
        return rf"\\*{re.escape(char)}"
    if char.isascii():
        return re.escape(char)
    return rf"(?:{char}|\\+u{ord(char):04x})"


def _stars(text: str) -> str:
    """As many bytes as the text has."""
    return "*" * len(text.encode("utf-8", "replace"))
