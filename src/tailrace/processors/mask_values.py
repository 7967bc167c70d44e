"""The value that stands behind a name in a text that is no JSON: assignments, options of commands, pairs, XML.

Nothing here is tried twice over the same stretch of text: repetitions without an end are possessive, or the last thing
that is looked for, or begin where no other may begin. So the cost grows with the length of the text and not faster.
"""

from __future__ import annotations

import re

Span = tuple[int, int]

# A quote as it is, in JSON that stands in a text of JSON, in HTML and in a URL.
_QUOTE = r"(?:\\{0,15}[\"']|&quot;|&#3[49];|\\{1,15}u002[27]|%2[27])"
_SIGN = re.compile(
    rf"{_QUOTE}?\]?{_QUOTE}?\s{{0,20}}(!?={{1,3}}>?|::?=?|%3[AaDd]|\\{{1,15}}u003[ad])"
    r"(?:\s{0,20}(?=[bfruBFRU]{0,2}\\{0,15}[\"'{\[])|[^\S\r\n]{0,20})"
)
OPTION = r"--?[A-Za-z][\w-]*+(?![^\s=\"'\\,\])])"
"""A whole word that is the name of an option, not the value of the one before it."""
# An option's value, in a shell or in a list of arguments.
_GAP = re.compile(rf"{_QUOTE}?(?:\s{{0,20}},\s{{0,20}}|\s{{1,20}})(?!{_QUOTE}?{OPTION})")
_COMMA = re.compile(rf"{_QUOTE}\s{{0,20}},\s{{0,20}}(?![{{\[])")
_PAIR_ENDS = re.compile(rf"{_QUOTE}?\s{{0,20}},?\s{{0,20}}[)\]]|\Z")
_PAIR_BEGINS = re.compile(r"[(\[]\s{0,20}[bruBRU]{0,2}\\{0,15}\Z")
_NAMED_VALUE = re.compile(  # {'name': 'password', 'value': ...} and <property name="password" value="..."/>
    rf"{_QUOTE}\s{{0,20}},?\s{{0,20}}{_QUOTE}?(?i:value|val){_QUOTE}?\s{{0,20}}(?:=>|[=:])\s{{0,20}}"
)
_TAG_END = re.compile(r"(?:\s[^<>]{0,500})?(?<!/)>")
_NEXT_ELEMENT = re.compile(r"</[\w:.-]{1,64}>\s{0,80}<[\w:.-]{1,64}>")  # <key>password</key><string>...</string>
_ELEMENT = re.compile(r"<!\[CDATA\[(?:[^\]]|\](?!\]>))*+|(?:(?!\s)[^<]*+|\s++(?=<))(?:<(?![/!?])[^<>]{0,500}>[^<]*+)*+")
_QUOTED = re.compile(
    r"[bfruBFRU]{0,2}(?:(?P<quote>\\{1,15}[\"'])(?:(?!(?<!\\)(?P=quote)).)*+"
    r"|\"(?:[^\"\\]|\\.|\"\")*+|'(?:[^'\\]|\\.|'')*+)",
    re.DOTALL,
)
_OPEN = re.compile(
    r"[{\[].*+"  # to the end: nobody knows where it closes
    r"|(?i:aws4-[a-z0-9-]{1,40}|digest|hawk|oauth)\s[^\r\n]*+",  # schemes with a list of parameters
    re.DOTALL,
)
_COOKIES = re.compile(r"[^\s=;,\"']{1,200}=[^\s;]*+(?:;\s?[^\s=;,\"']{1,200}=[^\s;]*+)++")
# What comes after a comma, a semicolon or an ampersand that ends a word: a blank, or the next name and its sign.
_NEXT_NAME = rf"{_QUOTE}?[A-Za-z_][\w.-]{{0,63}}(?:\[[\w.-]{{0,63}}\])?{_QUOTE}?\s?(?:=|:[\s\"'\\])"
_WORD = re.compile(
    r"(?:(?i:bearer|basic|token|negotiate|apikey)[^\S\r\n]{1,4})?"
    rf"(?:[^\s,;&]|[,;&](?!\s|\Z|{_NEXT_NAME}))++"
)
# Behind a word they belong to what is around it.
_CLOSERS = ")]}>\"'"
_IDENTIFIER = frozenset("_.-:$@")
_LONGEST = 100


def value_behind(text: str, start: int, stop: int) -> Span | None:
    """Where the value is that belongs to the name from `start` to `stop`; None where none does."""
    sign = _SIGN.match(text, stop)
    if sign is not None:
        return _value(text, sign.end(), is_assigned=True, is_header=sign.group(1) == ":")
    if stop == len(text) or text[stop] not in " \t\r\n,\"'\\&%><":
        return None
    begin = _begin_of_identifier(text, start)
    before = text[begin - 1 : begin]
    if before in ("<", ">"):
        return _in_xml(text, stop, before)
    if text[begin] == "-":
        gap = _GAP.match(text, stop)
        return _value(text, gap.end()) if gap is not None else None
    if before in ("'", '"'):
        named = _NAMED_VALUE.match(text, stop)
        if named is not None:
            return _value(text, named.end(), is_assigned=True)
        if _PAIR_BEGINS.search(text, max(0, begin - 40), begin - 1) is not None:
            return _second_of_pair(text, stop)
    return None


def _value(text: str, index: int, is_assigned: bool = False, is_header: bool = False) -> Span | None:
    """The value that begins at `index`: what is within its quotes, or the next word. What `is_assigned` may be an
    object, or have a scheme before it; what belongs to a header, a list of cookies."""
    quoted = _QUOTED.match(text, index)
    if quoted is not None:
        start = quoted.end("quote")
        return (start if start >= 0 else _behind_quote(text, quoted.start())), quoted.end()
    found = (_OPEN.match(text, index) if is_assigned else None) or (_COOKIES.match(text, index) if is_header else None)
    if found is not None:
        return found.span()
    word = _WORD.match(text, index)
    if word is None:
        return None
    length = len(word.group().rstrip(_CLOSERS).rstrip("\\"))
    return index, index + max(1, length)


def _behind_quote(text: str, index: int) -> int:
    while text[index] not in "\"'":
        index += 1
    return index + 1


def _second_of_pair(text: str, stop: int) -> Span | None:
    """The second of two: ``("password", "X")``. A longer list is a list of names."""
    comma = _COMMA.match(text, stop)
    span = _value(text, comma.end()) if comma is not None else None
    return span if span is not None and _PAIR_ENDS.match(text, span[1]) is not None else None


def _in_xml(text: str, stop: int, before: str) -> Span | None:
    behind = (_TAG_END if before == "<" else _NEXT_ELEMENT).match(text, stop)
    found = _ELEMENT.match(text, behind.end()) if behind is not None else None
    return found.span() if found is not None and found.group().strip() else None


def _begin_of_identifier(text: str, start: int) -> int:
    """Where the word begins that a name is the end of."""
    least = max(0, start - _LONGEST)
    while start > least and (text[start - 1] in _IDENTIFIER or text[start - 1].isalnum()):
        start -= 1
    return start
