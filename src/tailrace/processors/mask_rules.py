"""The rules of masking: built-in ones by name, and those that somebody wrote. Loaded only where one is asked for."""

from __future__ import annotations

import re

from tailrace.config.wording import suggestion
from tailrace.errors import ConfigError
from tailrace.processors.patterns import MAX_STEPS, SafePattern, compile_safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tailrace.config.tables import MaskSpec

_CREDENTIALS = (
    "password", "passwd", "pwd", "secret", "token", "api_key", "api-key", "apikey", "x-api-key", "access_token",
    "refresh_token", "id_token", "client_secret", "private_key", "authorization", "proxy-authorization", "cookie",
    "set-cookie",
)  # fmt: skip
_AWS_SECRETS = (
    "aws_secret_access_key", "aws_session_token", "secretAccessKey", "sessionToken", "x-amz-security-token",
)  # fmt: skip
BUILT_IN_KEYS = {"aws-secrets": _AWS_SECRETS, "credentials": _CREDENTIALS}
# Written so that a place where they cannot match is left after a step, whatever stands there: none needs a window.
BUILT_IN_PATTERNS = {
    "aws-access-key": r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z2-7]{16}(?![A-Za-z0-9])",
    "basic-auth": r"(?i)\bbasic ([a-z0-9+/]{8,}={0,2})",
    "bearer": r"(?i)\bbearer\s{1,4}([a-z0-9._~+/-]{8,}={0,2})",
    "card": (
        r"(?<![0-9.])(?:[2-6][0-9]{3}[ -]?(?:[0-9]{4}[ -]?){2}[0-9]{4}"
        r"|3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5})(?![0-9])"
    ),
    "email": r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]*[A-Za-z0-9]",
    "jwt": r"\beyJ[A-Za-z0-9_-]{8}[A-Za-z0-9_.-]+",
    "private-key": r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?",
    "url-password": r"://[^/\s:@]{0,64}:([^/\s@]{1,256})@",
}
BUILT_IN = tuple(sorted([*BUILT_IN_KEYS, *BUILT_IN_PATTERNS]))


class PatternRule:
    """Replaces what a pattern finds; where the pattern has a group, what the group found."""

    __slots__ = ("_pattern", "name", "replacement")

    def __init__(self, name: str, pattern: SafePattern, replacement: str) -> None:
        self.name = name
        self._pattern = pattern
        self.replacement = replacement

    def apply(self, text: str) -> tuple[str, int]:
        """`text` masked, and how many places were."""
        spans = self._pattern.spans(text)
        return (_replaced(text, spans, self.replacement), len(spans)) if spans else (text, 0)


class KeyRule:
    """Replaces the values of members by name, in any case, whatever they are; and in text what stands behind a name
    and ``=`` or ``:``."""

    __slots__ = ("_in_text", "keys", "name", "replacement")

    def __init__(self, name: str, keys: Iterable[str], replacement: str) -> None:
        self.name = name
        self.keys = frozenset(key.lower() for key in keys)
        self.replacement = replacement
        self._in_text = SafePattern(_in_text(self.keys), MAX_STEPS)

    def apply(self, text: str) -> tuple[str, int]:
        """`text`, which is no JSON, masked, and how many places were."""
        spans = self._in_text.spans(text)
        return (_replaced(text, spans, self.replacement), len(spans)) if spans else (text, 0)


def build_rules(specs: Iterable[MaskSpec], problems: list[ConfigError]) -> tuple[list[KeyRule], list[PatternRule]]:
    """The rules that can be used; what is wrong with the others joins `problems`. Twice the same is once."""
    keys: list[KeyRule] = []
    patterns: list[PatternRule] = []
    seen: set[str] = set()
    for spec in specs:
        if spec.rule is not None and spec.rule in seen:
            continue
        try:
            rule = _build(spec)
        except ConfigError as problem:
            problems.append(problem)
            continue
        if spec.rule is not None:
            seen.add(spec.rule)
        if isinstance(rule, KeyRule):
            keys.append(rule)
        else:
            patterns.append(rule)
    return keys, patterns


def _build(spec: MaskSpec) -> KeyRule | PatternRule:
    if spec.rule is None and spec.pattern is None:
        return KeyRule(spec.name, spec.keys, spec.replacement)
    if spec.pattern is not None:
        return PatternRule(spec.name, compile_safe(spec.pattern, f"{spec.place}, pattern"), spec.replacement)
    rule = spec.rule or ""
    if rule in BUILT_IN_KEYS:
        return KeyRule(spec.name, BUILT_IN_KEYS[rule], spec.replacement)
    if rule in BUILT_IN_PATTERNS:
        pattern = SafePattern(re.compile(BUILT_IN_PATTERNS[rule]), MAX_STEPS)
        return PatternRule(spec.name, pattern, spec.replacement)
    found = f'there is no rule "{ascii(rule)[1:-1][:60]}"{suggestion(rule, BUILT_IN)}'
    raise ConfigError(spec.place, found, f"known: {', '.join(BUILT_IN)}")


def _in_text(keys: Iterable[str]) -> re.Pattern[str]:
    """A name, perhaps quoted, a sign, and its value: quoted, an object or list to the end of the text (nobody knows
    where it closes), or the next word, with the scheme before it where it is a header. In JSON that stands in a text
    of JSON quotes have backslashes before them: there a value goes to the next quote that has as many."""
    names = "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))
    return re.compile(
        rf"(?i)(?<![A-Za-z0-9_-])(?:{names})\\{{0,15}}[\"']?\s{{0,20}}[=:]\s{{0,20}}(?:[bru]{{1,2}}(?=[\"']))?"
        r"(\"(?:[^\"\\]|\\.)*|'(?:[^'\\]|\\.)*|(\\{1,15}[\"'])(?:(?!(?<!\\)\2).)*|[{\[].*"
        r"|(?:aws4-[a-z0-9-]{1,40}|digest|hawk|oauth)\s[^\r\n]*"  # schemes with a list of parameters
        r"|(?:(?:bearer|basic|token|negotiate|apikey)\s{1,4})?[^\s,;&]+)",
        re.DOTALL,
    )


def _replaced(text: str, spans: list[tuple[int, int]], replacement: str) -> str:
    pieces = []
    copied = 0
    for start, stop in spans:
        opening = _opening(text, start)  # the quote before a value stays, as does the one behind
        pieces += [text[copied:start], opening, replacement]
        copied = stop
    return "".join([*pieces, text[copied:]])


def _opening(text: str, start: int) -> str:
    """The quote that begins there, with the backslashes before it."""
    index = start
    while text.startswith("\\", index):
        index += 1
    return text[start : index + 1] if text[index : index + 1] in ('"', "'") else ""
