"""The tables of a configuration file: destinations, headers, masks. Each problem names its place; all are collected."""

from __future__ import annotations

from tailrace.config.header_lines import header_pair, is_header_name
from tailrace.config.headers import HttpHeaders
from tailrace.config.tables import LEVELS, DestinationTable, MaskSpec, RecordFilter
from tailrace.config.wording import ordinal, suggestion
from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tailrace.config.tables import Tables

CATEGORIES = ("platform", "function", "extension")
_DESTINATION_KEYS = (
    "url", "name", "headers", "types", "min_level", "match", "exclude", "queue_max_bytes", "failover_for",
)  # fmt: skip
_MASK_KEYS = ("name", "rule", "pattern", "keys", "replacement", "compounds")
_LEAST_QUEUE, _MOST_QUEUE = 65_536, 1_073_741_824
_LONGEST_NUMBER = 10**30
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


class Fields:
    """One table's members, taken one by one. A member of a wrong kind joins `problems` and counts as absent."""

    __slots__ = ("_problems", "_table", "place")

    def __init__(
        self, table: dict[str, object], place: str, known: tuple[str, ...], problems: list[ConfigError]
    ) -> None:
        self._table = table
        self._problems = problems
        self.place = place
        for key in table:
            if key not in known:
                found = f'unknown key "{ascii(key)[1:-1][:60]}"{suggestion(key, known)}'
                problems.append(ConfigError(place, found, f"known: {', '.join(known)}"))

    def at(self, key: str) -> str:
        return f"{self.place}, {key}"

    def wrong(self, key: str, found: str, remedy: str) -> None:
        self._problems.append(ConfigError(self.at(key), found, remedy))

    def text(self, key: str) -> str | None:
        value = self._table.get(key)
        if value is None or (isinstance(value, str) and value):
            return value
        self.wrong(key, f"it is {self.kind_of(value)}", "allowed: a text")
        return None

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts; one text alone is a list of one."""
        value = self._table.get(key)
        if value is None:
            return None
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list) and items and all(isinstance(item, str) and item for item in items):
            return tuple(items)
        self.wrong(key, f"it is {self.kind_of(value)}", "allowed: a text or a list of texts")
        return None

    def number(self, key: str, least: int, most: int) -> int | None:
        value = self._table.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.wrong(key, self._instead_of_number(value), f"allowed: a whole number from {least} to {most}")
        return None

    def _instead_of_number(self, value: object) -> str:
        if isinstance(value, str) and value:
            return f'"{ascii(value)[1:-1][:60]}" is a text'
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{value} is out of range" if abs(value) < _LONGEST_NUMBER else "it is out of range"
        return f"it is {self.kind_of(value)}"

    def flag(self, key: str, default: bool) -> bool:
        value = self._table.get(key)
        if isinstance(value, bool):
            return value
        if value is not None:
            self.wrong(key, f"it is {self.kind_of(value)}", "allowed: true or false")
        return default

    def raw(self, key: str) -> object:
        return self._table.get(key)

    @staticmethod
    def kind_of(value: object) -> str:
        """The kind of a value, without its text."""
        if isinstance(value, bool):
            return "true or false"
        if isinstance(value, str):
            return "a text" if value else "an empty text"
        if isinstance(value, list):
            mixed = any(not isinstance(item, str) or not item for item in value)
            return (
                "an empty list" if not value else "a list with something else than texts in it" if mixed else "a list"
            )
        names = {int: "a number", float: "a number with decimals", dict: "a table"}
        return names.get(type(value), "a date or time")


def expanded(text: str, place: str, environ: Mapping[str, str]) -> str:
    """`text` with ``${NAME}`` replaced by the environment's value; ``$$`` is one dollar sign.

    Secrets need not stand in a file that is deployed with the code. Raises `ConfigError` where NAME is not set.
    """
    pieces = text.split("$")
    result = pieces[0]
    index = 1
    while index < len(pieces):
        piece = pieces[index]
        if piece.startswith("{") and "}" in piece:
            name, _, rest = piece[1:].partition("}")
            if name not in environ:
                shown = ascii(name)[1:-1][:60]
                raise ConfigError(place, f"${{{shown}}} is not set in the environment", "set it, or write $${...}")
            result += environ[name] + rest
        elif not piece and index + 1 < len(pieces):
            index += 1
            result += "$" + pieces[index]
        else:
            result += "$" + piece
        index += 1
    return result


def header_table(value: object, place: str, environ: Mapping[str, str], problems: list[ConfigError]) -> HttpHeaders:
    """Headers from ``{Name = "value"}``. A bad one is left out and named, never shown."""
    if not isinstance(value, dict):
        problems.append(ConfigError(place, f"it is {Fields.kind_of(value)}", 'write { Name = "value" }'))
        return HttpHeaders()
    pairs = []
    for index, (name, text) in enumerate(value.items()):
        where = f"{place}, {name if is_header_name(name) else f'{ordinal(index)} header'}"
        try:
            if not isinstance(text, str):
                raise ConfigError(where, f"its value is {Fields.kind_of(text)}", 'write { Name = "value" }')
            pairs.append(header_pair(name, expanded(text, where, environ), where))
        except ConfigError as problem:
            problems.append(problem)
    return HttpHeaders(tuple(pairs))


def destination_tables(
    value: object, place: str, environ: Mapping[str, str], problems: list[ConfigError]
) -> list[DestinationTable]:
    """``destinations``: URLs, or tables with a ``url`` and more."""
    items = value if isinstance(value, list) else [value]
    tables = []
    for index, item in enumerate(items):
        where = f"{place}, {ordinal(index)} entry"
        tables.append(_destination({"url": item} if isinstance(item, str) else item, where, environ, problems))
    return tables


def _destination(item: object, place: str, environ: Mapping[str, str], problems: list[ConfigError]) -> DestinationTable:
    table = DestinationTable(place, "")
    if not isinstance(item, dict):
        table.trouble = ConfigError(place, f"it is {Fields.kind_of(item)}", "write a URL, or a table with a url")
        return table
    fields = Fields(item, place, _DESTINATION_KEYS, problems)
    try:
        table.url = _url(item.get("url"), place, environ)
    except ConfigError as trouble:
        table.trouble = trouble
    table.label = _name(fields, "name")
    table.failover_for = _name(fields, "failover_for")
    table.queue_max_bytes = fields.number("queue_max_bytes", _LEAST_QUEUE, _MOST_QUEUE)
    if fields.raw("headers") is not None:
        table.headers = header_table(fields.raw("headers"), fields.at("headers"), environ, problems)
    table.filter = _filter(fields)
    return table


def _url(value: object, place: str, environ: Mapping[str, str]) -> str:
    """Raises `ConfigError` for what is no text, or a text that cannot be completed."""
    remedy = 'write url = "scheme://..."'
    if value is None:
        raise ConfigError(place, "it has no url", remedy)
    if not isinstance(value, str) or not value:
        raise ConfigError(place, f"its url is {Fields.kind_of(value)}", remedy)
    try:
        url = expanded(value, place, environ).strip()
    except ConfigError as problem:
        raise ConfigError(place, f"in its url {problem.found}", problem.remedy) from None
    if not url:
        raise ConfigError(place, "its url is empty", remedy)
    return url


def _name(fields: Fields, key: str) -> str | None:
    name = fields.text(key)
    if name is not None and not (_NAME.issuperset(name) and len(name) <= 60):
        fields.wrong(key, "it holds more than a name", "allowed: up to 60 letters, digits, - . and _")
        return None
    return name


def _filter(fields: Fields) -> RecordFilter | None:
    types = fields.texts("types")
    for word in types or ():
        if word not in CATEGORIES:
            found = f'unknown type "{ascii(word)[1:-1][:60]}"{suggestion(word, CATEGORIES)}'
            fields.wrong("types", found, f"known: {', '.join(CATEGORIES)}")
            types = None
            break
    level = fields.text("min_level")
    if level is not None and level.lower() not in LEVELS:
        found = f'unknown level "{ascii(level)[1:-1][:60]}"{suggestion(level, LEVELS)}'
        fields.wrong("min_level", found, f"known: {', '.join(LEVELS)}")
        level = None
    match, exclude = fields.texts("match") or (), fields.texts("exclude") or ()
    if types is None and level is None and not match and not exclude:
        return None
    return RecordFilter(fields.place, types, level.lower() if level else None, match, exclude)


def mask_specs(value: object, place: str, tables: Tables) -> list[MaskSpec]:
    """``mask``: names of built-in rules, or tables. What cannot be used withholds every line: see `processors.mask`."""
    items = value if isinstance(value, list) else [value]
    specs = []
    for index, item in enumerate(items):
        where = f"{place}, {ordinal(index)} entry"
        before = len(tables.problems)
        spec = MaskSpec(where, item, rule=item) if isinstance(item, str) else _mask(item, where, tables.problems)
        if spec is not None:
            specs.append(spec)
        tables.masks_unknown = tables.masks_unknown or len(tables.problems) > before
    return specs


def _mask(item: object, place: str, problems: list[ConfigError]) -> MaskSpec | None:
    if not isinstance(item, dict):
        problems.append(ConfigError(place, f"it is {Fields.kind_of(item)}", "write a rule's name, or a table"))
        return None
    n_problems = len(problems)
    fields = Fields(item, place, _MASK_KEYS, problems)
    rule, pattern, keys = fields.text("rule"), fields.text("pattern"), fields.texts("keys")
    name = _name(fields, "name")
    replacement = "***" if item.get("replacement") is None else fields.raw("replacement")
    if not isinstance(replacement, str):
        fields.wrong("replacement", f"it is {Fields.kind_of(replacement)}", "allowed: a text")
        replacement = "***"
    compounds = fields.flag("compounds", True)
    if pattern is not None and fields.raw("compounds") is not None:
        fields.wrong("compounds", "a pattern has no names", "write it beside keys, or beside a rule of names")
    if len(problems) > n_problems:
        return None
    if [rule, pattern, keys].count(None) != 2:
        problems.append(ConfigError(place, "it has none or several of rule, pattern and keys", "write one of them"))
        return None
    name = name or rule or f"mask-{place.rpartition(', ')[2].partition(' ')[0]}"
    return MaskSpec(place, name, rule, pattern, keys or (), replacement, compounds)
