"""Which destinations the user wants. What the schemes are is handed in from above: see `Scheme`."""

from __future__ import annotations

from tailrace.config.urls import QueryItem, Url, in_error, parse_url, shown, shown_scheme, without_secrets
from tailrace.config.wording import ordinal, suggestion
from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tailrace.config.tables import DestinationTable

    # What is allowed, where the value is not; None where it is.
    Check = Callable[[str], str | None]
    # What is wrong with a URL of the scheme, and the remedy; None where nothing is.
    UrlCheck = Callable[[Url, Mapping[str, str]], tuple[str, str] | None]

VARIABLE = "TAILRACE_DESTINATIONS"
BUCKET_VARIABLE = "S3_BUCKET_NAME"


class Scheme:
    """What a scheme's URLs may say.

    `keys` are its own query keys, each with a check of the value. With `open_query` other keys belong to the server and
    pass through; `prefix` then marks ours, and an unknown key that begins so is an error. `secret_path` says that
    parts of a path may be secrets, `bare` that nothing may stand behind the scheme, `takes_headers` that requests have
    headers. `check` looks at the whole URL and the options found in it.
    """

    __slots__ = ("bare", "check", "keys", "name", "open_query", "prefix", "secret_path", "takes_headers")

    def __init__(
        self,
        name: str,
        keys: Mapping[str, Check],
        check: UrlCheck,
        open_query: bool = False,
        prefix: str = "",
        secret_path: bool = False,
        bare: bool = False,
        takes_headers: bool = False,
    ) -> None:
        self.name = name
        self.keys = keys
        self.check = check
        self.open_query = open_query
        self.prefix = prefix
        self.secret_path = secret_path
        self.bare = bare
        self.takes_headers = takes_headers


class DestinationSpec:
    """One destination as asked for and found to be well formed. `setting` says where, `name` the URL without secrets.

    `options` are the values of our own query keys that were given. `table` is what a configuration file says beside
    the URL, and `instead_of` the destination that this one stands in for while it is down.
    """

    __slots__ = ("instead_of", "name", "options", "scheme", "setting", "table", "url")

    def __init__(self, name: str, scheme: str, url: Url, options: dict[str, str], setting: str) -> None:
        self.table: DestinationTable | None = None
        self.instead_of: DestinationSpec | None = None
        self.name = name
        self.scheme = scheme
        self.url = url
        self.options = options
        self.setting = setting

    def __repr__(self) -> str:
        return f"DestinationSpec({self.name!r} from {self.setting})"


class Destinations:
    """The destinations that can be used, in the order given, and what is wrong with the others (`problems`).

    `faults` are wrong words that keep no destination from being used: about such, and about those that cannot be used
    for another reason.
    """

    __slots__ = ("faults", "problems", "specs")

    def __init__(self) -> None:
        self.specs: list[DestinationSpec] = []
        self.problems: list[ConfigError] = []
        self.faults: list[ConfigError] = []


def load_destinations(
    environ: Mapping[str, str],
    schemes: Mapping[str, Scheme],
    tables: Sequence[DestinationTable] = (),
    setting: str = VARIABLE,
) -> Destinations:
    """Destinations from `TAILRACE_DESTINATIONS` (URLs separated by blanks), or else a file's `tables`, or else
    `S3_BUCKET_NAME` (one bucket): a function may have that variable for purposes of its own.

    `setting` is what a message calls that variable. One bad entry never takes the others with it. With nothing set both
    lists are empty.
    """
    result = Destinations()
    seen: dict[str, str] = {}
    for entry, place, table in _entries(environ, tables, setting, result.problems):
        if table is not None:
            _refuse_headers(table, schemes.get(entry.partition(":")[0].lower()), result.faults)
        try:
            if table is not None and table.trouble is not None:
                raise table.trouble
            if entry in seen:
                raise ConfigError(place, f"it is the same as {seen[entry]}", "each destination is written once")
            seen[entry] = place
            spec = _parse_entry(entry, place, schemes)
            spec.table = table
            result.specs.append(spec)
        except ConfigError as problem:
            result.problems.append(problem)
    _make_names_unique(result.specs)
    _connect(result.specs, tables, result.faults)
    return result


def _entries(
    environ: Mapping[str, str], tables: Sequence[DestinationTable], setting: str, problems: list[ConfigError]
) -> list[tuple[str, str, DestinationTable | None]]:
    """What is asked for, as (URL, where, the file's table)."""
    entries = environ.get(VARIABLE, "").split()
    if entries:
        return [(entry, f"{setting}, {ordinal(index)} entry", None) for index, entry in enumerate(entries)]
    if tables:
        return [(table.url, table.place, table) for table in tables]
    bucket = _from_bucket(environ.get(BUCKET_VARIABLE, "").strip(), problems)
    return [(entry, place, None) for entry, place in bucket]


def _connect(specs: list[DestinationSpec], tables: Sequence[DestinationTable], faults: list[ConfigError]) -> None:
    """Find whom each stands in for. A name that leads nowhere, or in a circle, is a fault: the destination then gets
    every record."""
    labels: dict[str, DestinationSpec] = {}
    made = {spec.table: spec for spec in specs if spec.table is not None}
    for spec in specs:
        if spec.table is not None and spec.table.label is not None:
            labels.setdefault(spec.table.label, spec)
    for table in tables if made or not specs else ():
        if table.failover_for is None:
            continue
        first, own = labels.get(table.failover_for), made.get(table)
        place = f"{table.place}, failover_for"
        if first is None and table.label != table.failover_for:
            known = f"known: {', '.join(sorted(labels))}" if labels else "no usable destination has a name"
            faults.append(ConfigError(place, f'no usable destination is called "{table.failover_for}"', known))
        elif first is None or (own is not None and _leads_to(first, own)):
            faults.append(ConfigError(place, "it stands in for itself", "the first of a row stands in for nobody"))
        elif own is not None:
            own.instead_of = first
    _refuse_twins(tables, faults)


def _refuse_headers(table: DestinationTable, scheme: Scheme | None, faults: list[ConfigError]) -> None:
    if table.headers.pairs and scheme is not None and not scheme.takes_headers:
        found = f"a destination of {scheme.name} has no headers"
        faults.append(ConfigError(f"{table.place}, headers", found, "they are for http and https"))


def _leads_to(spec: DestinationSpec, end: DestinationSpec) -> bool:
    current: DestinationSpec | None = spec
    while current is not None:
        if current is end:
            return True
        current = current.instead_of
    return False


def _refuse_twins(tables: Sequence[DestinationTable], faults: list[ConfigError]) -> None:
    seen: set[str] = set()
    for table in tables:
        if table.label in seen:
            faults.append(ConfigError(f"{table.place}, name", f'"{table.label}" is taken', "each has its own name"))
        if table.label is not None:
            seen.add(table.label)


def _from_bucket(bucket: str, problems: list[ConfigError]) -> list[tuple[str, str]]:
    """`S3_BUCKET_NAME` is the variable of AWS's own logs demo: a bare name."""
    if not bucket:
        return []
    if any(not (ch.isascii() and ch.isalnum()) and ch not in "-._" for ch in bucket):
        remedy = f"write the bare name here, or s3://BUCKET/PREFIX in {VARIABLE}"
        problems.append(ConfigError(BUCKET_VARIABLE, "it holds more than the name of a bucket", remedy))
        return []
    return [(f"s3://{bucket}", BUCKET_VARIABLE)]


def _parse_entry(entry: str, place: str, schemes: Mapping[str, Scheme]) -> DestinationSpec:
    _refuse_commas(entry, place, schemes)
    url = parse_url(entry, place)
    scheme = schemes.get(url.scheme)
    if scheme is None:
        word = f' "{url.scheme}"' if shown_scheme(entry) else ""
        found = f'unknown scheme{word} in "{shown(entry)}"{suggestion(url.scheme, schemes) if word else ""}'
        raise ConfigError(place, found, f"known: {', '.join(sorted(schemes))}")
    named = in_error(url, plain_path=not scheme.bare)
    options = _take_options(url, scheme, f'"{named}"', place)
    trouble = scheme.check(url, options)
    if trouble is not None:
        found, remedy = trouble
        raise ConfigError(place, f'{found} in "{named}"', remedy)
    name = without_secrets(url, scheme.keys, scheme.secret_path)
    return DestinationSpec(name, scheme.name, url, options, place)


def _refuse_commas(entry: str, place: str, schemes: Mapping[str, Scheme]) -> None:
    before_query = entry.partition("?")[0]
    if any(f",{name}:" in before_query for name in schemes):
        raise ConfigError(place, "it holds several URLs with commas between them", "separate them by blanks")


def _take_options(url: Url, scheme: Scheme, named: str, place: str) -> dict[str, str]:
    """Our own keys of the query, checked."""
    options: dict[str, str] = {}
    known = f"known: {', '.join(sorted(scheme.keys))}" if scheme.keys else "this scheme takes none"
    for item in url.query:
        check = scheme.keys.get(item.key)
        if check is None:
            if scheme.open_query and not item.key.lower().startswith(scheme.prefix):
                continue
            meant = suggestion(item.key, scheme.keys)
            raise ConfigError(place, f"unknown query key {_shown_key(item)}in {named}{meant}", known)
        if item.key in options:
            raise ConfigError(place, f'the query key "{item.key}" stands twice in {named}', "write it once")
        allowed = check(item.value or "")
        if allowed is not None:
            raise ConfigError(place, f'the value of "{item.key}" cannot be used in {named}', f"allowed: {allowed}")
        options[item.key] = item.value or ""
    return options


def _shown_key(item: QueryItem) -> str:
    """An unknown key as far as it can be shown: what is long, or has no value, may be a secret in the wrong place."""
    is_key = item.value is not None and len(item.key) <= 20 and "@" not in item.raw
    return '"' + ascii(item.key)[1:-1] + '" ' if is_key else ""


def _make_names_unique(specs: list[DestinationSpec]) -> None:
    """Names are keys of the ledger: URLs that differ in their secrets only are told apart by a number."""
    count: dict[str, int] = {}
    for spec in specs:
        count[spec.name] = number = count.get(spec.name, 0) + 1
        if number > 1:
            spec.name = f"{spec.name} #{number}"
