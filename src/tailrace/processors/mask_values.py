"""The value that stands behind a name in a text that is no JSON: assignments, options of commands, pairs, XML.

Nothing here is tried twice over the same stretch of text: repetitions without an end are possessive, or the last thing
that is looked for, or begin where no other may begin. So the cost grows with the length of the text and not faster.
"""

from __future__ import annotations

import re

from tailrace.processors.mask_plain import is_metavariable, is_name, is_nothing, is_plain

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
_PAIR_BEGINS = re.compile(r"(?P<list>[(\[,]\s{0,20})?[(\[]\s{0,20}[bruBRU]{0,2}\\{0,15}\Z")
_NAMED_VALUE = re.compile(  # {'name': 'password', 'value': ...} and <property name="password" value="..."/>
    rf"{_QUOTE}\s{{0,20}},?\s{{0,20}}{_QUOTE}?(?i:(?:parameter|header|new|old)?value|val|input){_QUOTE}?"
    r"\s{0,20}(?:=>|[=:])\s{0,20}"
)
_LOCATED = re.compile(  # 'loc': ('body', 'password'), 'msg': '...', 'input': ...
    rf"{_QUOTE},?\s{{0,5}}[)\]](?:,\s{{0,5}}'\w{{1,20}}':\s{{0,5}}(?:'[^']{{0,200}}'|\"[^\"]{{0,200}}\")){{0,4}},"
    r"\s{0,5}'input':\s{0,5}"
)
_TAG_END = re.compile(r"(?:\s[^<>]{0,500})?(?<!/)>")
_NEXT_ELEMENT = re.compile(r"</[\w:.-]{1,64}>\s{0,80}<[\w:.-]{1,64}>")  # <key>password</key><string>...</string>
_ELEMENT = re.compile(
    r"\s*+(?:<!\[CDATA\[(?:[^\]]|\](?!\]>))*+"
    r"|(?:(?<!\s)[^<]*+|(?=<)|[^<]++(?=</))(?:<(?![/!?])[^<>]{0,500}>[^<]*+)*+)"
)
# <property name="password">X</property>, <entry key="password"><value>X</value></entry>
_NAMING = re.compile(r"(?i:name|key)\s{0,5}=\s{0,5}\\{0,15}[\"']\Z")
_NAMED_ELEMENT = re.compile(
    rf"{_QUOTE}(?:\s[^<>]{{0,500}})?(?<!/)>\s{{0,80}}(?:<[\w:.-]{{0,40}}(?i:value)>\s{{0,80}})?"
    r"((?:<!\[CDATA\[)?[^<\s][^<]*+)(?=</|\Z)"
)
_ESCAPED_ELEMENT = re.compile(r"(?:\s[^<>&]{0,500})?&gt;((?:[^&]|&(?!lt;))++)")
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
_ARN_BEGINS = re.compile(r"(?<![\w-])arn:aws[\w-]{0,20}:[\w:/.*+=@$-]{0,300}\Z")
# Behind a word they belong to what is around it.
_CLOSERS = ")]}>\"'"
_IDENTIFIER = frozenset("_.-:$@")
_LONGEST = 100


def value_behind(text: str, start: int, stop: int) -> Span | None:
    """Where the value is that belongs to the name from `start` to `stop`; None where none does."""
    sign = _SIGN.match(text, stop)
    if sign is not None:
        return None if _is_no_name(text, start, sign) else _value(text, sign.end(), sign.group(1))
    if stop == len(text) or text[stop] not in " \t\r\n,\"'\\&%><":
        return None
    begin = _begin_of_identifier(text, start)
    before = text[begin - 1 : begin]
    if before in ("<", ">"):
        return _in_xml(text, stop, before)
    if text[begin] == "-":
        return _of_option(text, begin, stop)
    if before in ("'", '"'):
        return _behind_quoted_name(text, begin, stop)
    if before == ";" and text.endswith("&lt;", 0, begin):
        return _stripped(_ESCAPED_ELEMENT.match(text, stop), 1)
    return None


def _is_no_name(text: str, start: int, sign: re.Match[str]) -> bool:
    """Whether what stands before the sign is a part of a resource's name, or what a parser stumbled over."""
    if sign.group(1) in (":", "::") and sign.end() == sign.end(1) and sign.start() == sign.start(1):
        return _ARN_BEGINS.search(text, max(0, start - 400), start) is not None
    return text[max(0, start - 11) : start].lower() == "unexpected "


def _value(text: str, index: int, sign: str = "") -> Span | None:
    """The value that begins at `index`: what is within its quotes, or the next word; None where it cannot be a secret.
    What is assigned with a `sign` may be an object, or have a scheme before it; behind a colon, a list of cookies."""
    quoted = _QUOTED.match(text, index)
    if quoted is not None:
        start = quoted.end("quote")
        start = start if start >= 0 else _behind_quote(text, quoted.start())
        return (start, quoted.end()) if _may_be_secret(text[start : quoted.end()]) else None
    found = (_OPEN.match(text, index) if sign else None) or (_COOKIES.match(text, index) if sign == ":" else None)
    if found is not None:
        return found.span()
    word = _WORD.match(text, index)
    if word is None:
        return None
    stop = index + max(1, len(word.group().rstrip(_CLOSERS).rstrip("\\")))
    is_message = sign == ":" and text[index - 1] in " \t"
    return None if is_plain(text, index, stop, is_message) else (index, stop)


def _may_be_secret(quoted: str) -> bool:
    """Not what says that there is none; nor the few signs that a parser did not expect."""
    return not is_nothing(quoted) and (len(quoted) > 3 or any(map(str.isalnum, quoted)))


def _of_option(text: str, begin: int, stop: int) -> Span | None:
    gap = _GAP.match(text, stop)
    span = _value(text, gap.end()) if gap is not None else None
    if span is None or is_metavariable(text[span[0] : min(span[1], span[0] + 80)], text[begin:stop]):
        return None
    return span


def _behind_quoted_name(text: str, begin: int, stop: int) -> Span | None:
    named = _NAMED_VALUE.match(text, stop) or _LOCATED.match(text, stop)
    if named is not None:
        return _value(text, named.end(), "=")
    pair = _PAIR_BEGINS.search(text, max(0, begin - 40), begin - 1)
    if pair is not None:
        return _second_of_pair(text, stop, pair.group("list") is not None)
    if _NAMING.search(text, max(0, begin - 40), begin) is not None:
        return _stripped(_NAMED_ELEMENT.match(text, stop), 1)
    return None


def _behind_quote(text: str, index: int) -> int:
    while text[index] not in "\"'":
        index += 1
    return index + 1


def _second_of_pair(text: str, stop: int, is_among_pairs: bool) -> Span | None:
    """The second of two: ``("password", "X")``. A longer list is a list of names, and so are two where none other is
    beside them and the second looks like a name, too."""
    comma = _COMMA.match(text, stop)
    span = _value(text, comma.end()) if comma is not None else None
    if span is None or _PAIR_ENDS.match(text, span[1]) is None:
        return None
    return span if is_among_pairs or not is_name(text[slice(*span)]) else None


def _in_xml(text: str, stop: int, before: str) -> Span | None:
    behind = (_TAG_END if before == "<" else _NEXT_ELEMENT).match(text, stop)
    return _stripped(_ELEMENT.match(text, behind.end()) if behind is not None else None)


def _stripped(found: re.Match[str] | None, group: int = 0) -> Span | None:
    """What was found without the white space around it; None where there is no more."""
    content = found.group(group) if found is not None else ""
    if found is None or not content.strip():
        return None
    start = found.end(group) - len(content.lstrip())
    return start, start + len(content.strip())


def _begin_of_identifier(text: str, start: int) -> int:
    """Where the word begins that a name is the end of."""
    least = max(0, start - _LONGEST)
    while start > least and (text[start - 1] in _IDENTIFIER or text[start - 1].isalnum()):
        start -= 1
    return start
