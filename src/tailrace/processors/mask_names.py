"""Names of members that hold secrets: which names are meant by a rule's, and where they stand in a text.

A rule's name counts in every way of writing it (``api_key``, ``api-key``, ``apiKey``, ``API_KEY``), and as the last
words of a longer one: ``db_password`` and ``dbPassword`` are passwords, a ``password_policy`` is none. Words that leave
the thing what it is may follow: ``passwordHash``, ``password_old``, ``token2``.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# A word begins behind what is no letter or digit, at a capital, behind a digit, and behind an escaped character.
_WORD_BEGINS = (
    r"(?:(?<![^\W_])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[0-9])"
    r"|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrtfbv])|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
)
_STILL_IT = (
    "again", "b64", "base64", "bcrypt", "bytes", "cipher", "ciphertext", "clear", "cleartext", "confirm",
    "confirmation", "current", "data", "digest", "enc", "encrypted", "hash", "hashed", "header", "hex", "md5", "new",
    "old", "plain", "plaintext", "prev", "previous", "raw", "repeat", "sha1", "sha256", "sha512", "str", "string",
    "temp", "text", "tmp", "val", "value", "verify",
)  # fmt: skip
_FOLLOWS = rf"(?:[ _.-]?(?i:{'|'.join(sorted(_STILL_IT, key=len, reverse=True))})|[_.-]?[0-9]{{1,20}}){{0,4}}+"
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W_A-Za-z0-9]+")
_SEPARATORS = frozenset(("", " ", "_", "-", "."))
# What may stand behind a name that is part of a member's: `user[password]`.
_END = re.compile(r"[\])\s\"']*\Z")


class Names:
    """The names of one rule. Without `compounds` only these themselves count, in any case."""

    __slots__ = ("_sites", "_whole", "hints")

    def __init__(self, names: Iterable[str], compounds: bool = True) -> None:
        ordered = sorted(set(names), key=lambda name: (-len(name), name))
        self._whole = frozenset(name.lower() for name in ordered)
        self.hints = _hints(ordered, compounds)
        """Texts in lower case of which one is in every text that has such a name."""
        if compounds:
            first = "".join({re.escape(name[0]) for name in ordered})  # a look at one letter leaves most places
            any_of = "|".join(map(_any_writing, ordered))
            self._sites = re.compile(f"(?=(?i:[{first}])){_WORD_BEGINS}(?i:{any_of}){_FOLLOWS}")
        else:
            self._sites = re.compile(rf"(?<![\w.-])-{{0,2}}(?i:{'|'.join(map(re.escape, ordered))})(?![\w-])")

    def next_site(self, text: str, begin: int) -> tuple[int, int] | None:
        """Where such a name stands next, from where to where. It may be a part of a longer word."""
        site = self._sites.search(text, begin)
        return site.span() if site is not None else None

    def may_be_in(self, text: str) -> bool:
        """A look that costs next to nothing: False where no such name is."""
        lowered = text.lower()
        return any(hint in lowered for hint in self.hints)

    def mean(self, name: str, whole: bool = False) -> bool:
        """Whether the member called `name` is meant; with `whole` only if that is a rule's name in full."""
        if name.lower() in self._whole:
            return True
        if whole or not self.may_be_in(name):
            return False
        site = self.next_site(name, 0)
        while site is not None and _END.match(name, site[1]) is None:
            site = self.next_site(name, site[0] + 1)
        return site is not None


def _any_writing(name: str) -> str:
    """A pattern for `name` with its words together or apart."""
    pieces: list[str] = []
    copied = 0
    for word in _WORD.finditer(name):
        between = name[copied : word.start()]
        pieces.append(r"[ _.-]?" if pieces and between in _SEPARATORS else re.escape(between))
        pieces.append(re.escape(word.group()))
        copied = word.end()
    return "".join([*pieces, re.escape(name[copied:])])


def _hints(names: Iterable[str], compounds: bool) -> tuple[str, ...]:
    """Texts in lower case of which one is in every text that has such a name."""
    hints: list[str] = []
    for name in names:
        words = [word.lower() for word in _WORD.findall(name)] if compounds else []
        hints.append(max(words, key=len, default=name.lower()))
    shortest = sorted(set(hints), key=len)
    return tuple(hint for index, hint in enumerate(shortest) if not any(h in hint for h in shortest[:index]))
