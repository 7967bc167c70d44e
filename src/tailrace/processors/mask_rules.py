"""The rules of masking: built-in ones by name, and those that somebody wrote. Loaded only where one is asked for."""

from __future__ import annotations

import re

from tailrace.config.wording import suggestion
from tailrace.errors import ConfigError
from tailrace.processors.mask_colours import Colourless
from tailrace.processors.mask_names import Names
from tailrace.processors.mask_plain import are_numbers
from tailrace.processors.mask_values import value_behind
from tailrace.processors.patterns import MAX_STEPS, SafePattern, compile_safe, joined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tailrace.config.tables import MaskSpec
    from tailrace.processors.mask_values import Span
    from tailrace.processors.pattern_budget import Budget

_CREDENTIALS = (
    "password", "passwd", "pwd", "secret", "token", "api_key", "api-key", "apikey", "x-api-key", "access_token",
    "refresh_token", "id_token", "client_secret", "private_key", "authorization", "proxy-authorization", "cookie",
    "set-cookie", "passphrase", "passcode", "pgpassword", "authtoken", "secret_key", "secret_access_key", "signing_key",
    "encryption_key", "account_key", "shared_access_key",
)  # fmt: skip
_AWS_SECRETS = (
    "aws_secret_access_key", "aws_session_token", "secretAccessKey", "sessionToken", "x-amz-security-token",
)  # fmt: skip
# Several of them: counts of such are no secrets, lists and objects are.
_MANY_CREDENTIALS = (
    "cookies", "passwords", "passwds", "pwds", "secrets", "tokens", "api_keys", "private_keys", "secret_keys",
    "signing_keys", "encryption_keys", "account_keys", "access_keys", "passphrases", "passcodes",
)  # fmt: skip
BUILT_IN_KEYS = {"aws-secrets": _AWS_SECRETS, "credentials": _CREDENTIALS}


def _credential_behind(scheme: str, credential: str) -> str:
    """A pattern for the credential behind the name of a scheme. A word (``Bearer authentication``) is one only in a
    header: ``Authorization: Bearer``."""
    header = r"authorization\\{0,3}[\"']?\s?[:=]\s?\\{0,3}[\"']?"
    word = r"(?-i:[A-Za-z][a-z]{3,19}(?:[-/][a-z]{2,19}){0,2}|[A-Z]{4,20})(?!\.?[A-Za-z0-9_~+/=-])"
    return rf"(?i)(?:{header}{scheme}\s{{1,4}}|\b{scheme}\s{{1,4}}(?!{word}))({credential})"


# Written so that a place where they cannot match is left after a step, whatever stands there: none needs a window.
BUILT_IN_PATTERNS = {
    "aws-access-key": r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z2-7]{16}(?![A-Za-z0-9])",
    "basic-auth": _credential_behind("basic", "[a-z0-9+/]{8,}={0,2}"),
    "bearer": _credential_behind("bearer", "[a-z0-9._~+/-]{8,}={0,2}"),
    "card": (  # wherever one may begin, for the checksum decides; not the first three parts of a UUID
        r"(?<![0-9.])(?=([2-6][0-9]{3}[ -]?(?:[0-9]{4}[ -]?){2}[0-9]{4}(?!-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})"
        r"|3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5})(?![0-9]))"
    ),
    "email": (  # not a version (`lodash@4.17.21`), an address of the network, a picture (`@2x.png`), a repository
        r"(?<![A-Za-z0-9._%+-])(?!git@)[A-Za-z0-9._%+-]+@(?!v?[0-9]+\.[0-9]|[0-9]x\.)"
        r"(?:[A-Za-z0-9-]++\.)+(?:[A-Za-z]{2,63}(?![A-Za-z0-9])|xn--[A-Za-z0-9-]{2,59})"
    ),
    "jwt": r"\beyJ[A-Za-z0-9_-]{8}[A-Za-z0-9_.-]+",
    "private-key": r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?",
    "url-password": (  # up to the last `@` of the URL; what begins with a port is none
        r"://[^/\s:@]{0,256}:(?![0-9]{1,5}[/?#])((?:[^\s:\"'<>`]|:(?!//)){1,2048}|[^/\s@]{1,256})@"
    ),
}
# In lower case: one of these is in every text in which the pattern finds something. No sign that JSON escapes.
_PATTERN_HINTS = {
    "aws-access-key": ("akia", "asia", "aroa", "aida"),
    "basic-auth": ("basic",),
    "bearer": ("bearer",),
    "email": ("@",),
    "jwt": ("eyj",),
    "private-key": ("private key",),
    "url-password": ("://",),
}
_DIGITS_OF_A_CARD = re.compile(r"[0-9](?:[ -]?[0-9]){14}")
BUILT_IN = tuple(sorted([*BUILT_IN_KEYS, *BUILT_IN_PATTERNS]))


class PatternRule:
    """Replaces what a pattern finds; where the pattern has a group, what the group found.

    `place` is where it was asked for. `limit` is how long (in characters) a match may be to be found in any text (None:
    any length), `over_limit` in how many texts so far there may have been longer ones. What `counts` says no to is not
    replaced. Where none of `hints` is in the text in lower case, nothing is found; with none of them, nobody knows.
    """

    __slots__ = ("_counts", "_pattern", "hints", "limit", "name", "over_limit", "place", "replacement")

    def __init__(
        self,
        name: str,
        pattern: SafePattern,
        replacement: str,
        place: str = "",
        counts: Callable[[str], bool] | None = None,
        hints: tuple[str, ...] = (),
    ) -> None:
        self.hints = hints
        self.name = name
        self._counts = counts
        self.place = place
        self._pattern = pattern
        self.limit = pattern.limit
        self.over_limit = 0
        self.replacement = replacement

    def may_find(self, lowered: str) -> bool:
        """A look that costs next to nothing at a text in lower case."""
        if self._counts is is_card_number:
            return _DIGITS_OF_A_CARD.search(lowered) is not None
        for hint in self.hints:
            if hint in lowered:
                return True
        return not self.hints

    def apply(self, text: str, budget: Budget) -> tuple[str, int, bool]:
        """`text` masked, how many places were, and whether the rest of it was masked for want of time to search it."""
        spans, n_searched = self._pattern.spans(text, budget)
        if self.limit is not None and len(text) > 2 * self.limit:
            self.over_limit += 1
        if spans and self._counts is not None:
            spans = joined([span for span in spans if self._counts(text[slice(*span)])])
        n_found = len(spans)
        if n_searched < len(text):
            spans = [(start, min(stop, n_searched)) for start, stop in spans if start < n_searched]
            spans.append((n_searched, len(text)))
        return (_replaced(text, spans, self.replacement) if spans else text), n_found, n_searched < len(text)


class KeyRule:
    """Replaces the values of members by name, unless they say that there is none; and in text what stands behind a
    name. With `are_many` its names speak of several: then numbers say how many, and stay."""

    __slots__ = ("are_many", "keys", "name", "names", "replacement")

    def __init__(
        self, name: str, keys: Iterable[str], replacement: str, compounds: bool = True, are_many: bool = False
    ) -> None:
        self.are_many = are_many
        self.name = name
        self.keys = frozenset(key.lower() for key in keys)
        self.names = Names(keys, compounds)
        self.replacement = replacement

    def spans(self, text: str) -> list[Span]:
        """Where in `text`, which is no JSON, values are that belong to its names, in order and apart."""
        found: list[Span] = []
        if not self.names.may_be_in(text):
            return found
        begin = 0
        while (site := self.names.next_site(text, begin)) is not None:
            value = value_behind(text, *site)
            begin = site[0] + 1
            if value is not None and not (self.are_many and are_numbers(text, *value)):
                found.append(value)
                begin = value[1]
        return found


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
            if spec.rule == "credentials":
                keys.append(KeyRule(spec.name, _MANY_CREDENTIALS, spec.replacement, spec.compounds, are_many=True))
        else:
            patterns.append(rule)
    return keys, patterns


def _build(spec: MaskSpec) -> KeyRule | PatternRule:
    if spec.rule is None and spec.pattern is None:
        return KeyRule(spec.name, spec.keys, spec.replacement, spec.compounds)
    if spec.pattern is not None:
        pattern = compile_safe(spec.pattern, f"{spec.place}, pattern")
        return PatternRule(spec.name, pattern, spec.replacement, spec.place)
    rule = spec.rule or ""
    if rule in BUILT_IN_KEYS:
        return KeyRule(spec.name, BUILT_IN_KEYS[rule], spec.replacement, spec.compounds)
    if rule in BUILT_IN_PATTERNS:
        pattern = SafePattern(re.compile(BUILT_IN_PATTERNS[rule]), MAX_STEPS)
        counts = is_card_number if rule == "card" else None
        return PatternRule(spec.name, pattern, spec.replacement, spec.place, counts, _PATTERN_HINTS.get(rule, ()))
    found = f'there is no rule "{ascii(rule)[1:-1][:60]}"{suggestion(rule, BUILT_IN)}'
    raise ConfigError(spec.place, found, f"known: {', '.join(BUILT_IN)}")


def is_card_number(text: str) -> bool:
    """Whether the last digit is the checksum of the others (ISO/IEC 7812-1, the formula of Luhn), as it is in every
    number of a payment card, and by chance in every tenth other one."""
    digits = [int(sign) for sign in reversed(text) if sign.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[0::2]) + sum(doubled)) % 10 == 0


def mask_values(text: str, rules: Sequence[KeyRule]) -> tuple[str, list[str]]:
    """`text`, which is no JSON, with what belongs to the names of all `rules` replaced, and for each place the rule
    that did it: where several find a value, the first one."""
    plain = Colourless(text)
    spans = [(*span, place) for place, rule in enumerate(rules) for span in plain.original(rule.spans(plain.text))]
    if not spans:
        return text, []
    pieces, names = [], []
    copied = 0
    for start, stop, place in sorted(spans, key=lambda span: (span[0], span[2])):
        if start >= copied:
            pieces += [text[copied:start], rules[place].replacement]
            names.append(rules[place].name)
        copied = max(copied, stop)
    return "".join([*pieces, text[copied:]]), names


def _replaced(text: str, spans: list[Span], replacement: str) -> str:
    pieces = []
    copied = 0
    for start, stop in spans:
        pieces += [text[copied:start], replacement]
        copied = stop
    return "".join([*pieces, text[copied:]])
