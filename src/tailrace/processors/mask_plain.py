"""What stands where a secret would stand, and cannot be one: nothing, ``null``, a number where several are counted, a
placeholder, the name of a resource, a word of a message (``password: must not be blank``).

All of it is by closed lists and forms, so that what looks like a secret is taken for one.
"""

from __future__ import annotations

import re

_NOTHING = "|null|nil|none|undefined|true|false|yes|no|nan|n/a"
_ARN = r"arn:aws[a-z-]{0,20}:[^\s\"']{0,2048}"
_NOTHING_WHOLE = re.compile(rf"(?i:{_NOTHING})|{_ARN}")
_PLACEHOLDER = re.compile(
    r"\$[0-9]{1,3}|\$\{[\w.:-]{1,100}\}?|\?|%s|%\([\w.]{1,100}\)s|<[a-z][a-z _-]{0,40}>?|\.{3}|\*{3,}"
)
# Code: `token = self.refresh()`.
_CALL = re.compile(r"[A-Za-z_][\w.]{0,200}\(\)(?=[\s;,)\]}]|\Z)")
# Words of messages, schemas and code. Those that people do take for passwords must not be here.
_TOLD = """
a about accepted added after all allowed already also an and any are as at attempt authentication await be because
been before being blank boolean but by can cannot changed check checked const could created deleted denied deprecated
did disabled do does doing done each either empty enabled error exceeds expected expired expires failed failure field
for found from generated got granted had has have if ignored in incorrect input instead int integer into invalid is
issued it its len length less let like list loaded lookup malformed match matched matches maximum may mechanism might
minimum mismatch missing more must needs neither never new no not number object of on once only option optional or
ought out parameter parsing passed permission please present property provided read received redacted refresh
refreshed refreshing rejected removed renewed request requested required requires retrieved retrying returned revoked
rotated rotation sent set shall should signature skipped so still stored str string success succeeded than that the
their then there this to too unable unauthorized undefined unexpected unknown unless unset until unused updated used
using valid validated validation value verification verified was were when where which while will with without would
wrong yet your
"""
_WORDS = frozenset(_TOLD.split())
_LINKING = """
a an and any are at be been before by can cannot does failed for from has have in is must no not of on or should than
that the to too until was were when will with without
"""
_FUNCTION_WORDS = frozenset(_LINKING.split())
# A message: lower case, three words at least, up to the end of the line or of the sentence.
_MESSAGE = re.compile(
    r"[a-z]{1,20}(?: (?:[a-z]{1,20}|[0-9]{1,3})){2,20}+(?=[.,;:!?)\"']{1,2}(?:\s|\Z)|\s{0,20}\Z|\r?\n)"
)
_WORD = re.compile(r"[A-Za-z]{1,20}")
_METAVARIABLE = re.compile(r"[A-Z][A-Z_]{2,40}")
_GENERIC = frozenset(("TEXT", "STRING", "VALUE", "STR"))
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,_]{0,40}[kKmM%]?")
_BRACKETS = re.compile(r"[\[{]([^\[\]{}]{0,1000}+)[\]}]")
_COUNT = re.compile(rf"(?:{_NUMBER.pattern})?|(?i:null|none|true|false)")
_NAME = re.compile(r"[a-z]{2,20}(?:[_-][a-z]{1,20}){0,3}|[a-z]{1,20}(?:[A-Z][a-z]{1,20}){1,3}")
_UP_TO = 4000


def is_nothing(value: str) -> bool:
    """Whether a value within quotes, or of a member, says that there is none; or it is the name of a resource in AWS,
    that tells nobody anything."""
    return len(value) < _UP_TO and _NOTHING_WHOLE.fullmatch(value) is not None


def is_plain(text: str, start: int, stop: int, is_message: bool) -> bool:
    """Whether the word there, without quotes, cannot be a secret. With `is_message` it may begin a sentence."""
    value = text[start : min(stop, start + _UP_TO)]
    if is_nothing(value) or _PLACEHOLDER.fullmatch(value) is not None or _CALL.match(text, start):
        return True
    word = value.rstrip(".!?;,")
    if (
        _WORD.fullmatch(word) is not None
        and word.lower() in _WORDS
        and word[1:] in (word[1:].lower(), word[1:].upper())
    ):
        return True
    message = _MESSAGE.match(text, start) if is_message else None
    return message is not None and not _FUNCTION_WORDS.isdisjoint(message.group().split()[1:])


def is_metavariable(value: str, name: str) -> bool:
    """Whether an option's value is what a usage line calls it: ``--password PASSWORD``."""
    if _METAVARIABLE.fullmatch(value) is None:
        return False
    return value in _GENERIC or name.lower().replace("-", "_").endswith(value.lower())


def are_numbers(text: str, start: int, stop: int) -> bool:
    """Whether what stands there is a number, or begins with a list or an object of nothing but numbers."""
    if text[start] not in "[{":
        return stop - start < _UP_TO and _NUMBER.fullmatch(text, start, stop) is not None
    inner = _BRACKETS.match(text, start)
    if inner is None:
        return False
    parts = inner.group(1).replace("=", ":").split(",")
    return all(_COUNT.fullmatch(part.rpartition(":")[2].strip()) is not None for part in parts)


def is_name(value: str) -> bool:
    """Whether the second of two may be a name as the first one is: letters in the way of a name, no digit."""
    return len(value) <= 80 and _NAME.fullmatch(value) is not None
