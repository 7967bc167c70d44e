"""Which destinations the user wants. What the schemes are is handed in from above: see `Scheme`."""

from __future__ import annotations

from tailrace.config.urls import QueryItem, Url, parse_url, without_secrets
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
    if tables and not environ.get(VARIABLE, "").strip():
        from tailrace.config.stand_ins import connect, refuse_headers

        refuse_headers(tables, schemes, result.faults)
        connect(result.specs, tables, result.faults)
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
        from tailrace.config.wrong_urls import shown, shown_scheme

        word = f' "{url.scheme}"' if shown_scheme(entry) else ""
        found = f'unknown scheme{word} in "{shown(entry)}"{suggestion(url.scheme, schemes) if word else ""}'
        raise ConfigError(place, found, f"known: {', '.join(sorted(schemes))}")
    options = _take_options(url, scheme, place)
    trouble = scheme.check(url, options)
    if trouble is not None:
        found, remedy = trouble
        raise ConfigError(place, f"{found} in {_named(url, scheme)}", remedy)
    name = without_secrets(url, scheme.keys, scheme.secret_path)
    return DestinationSpec(name, scheme.name, url, options, place)


def _named(url: Url, scheme: Scheme) -> str:
    from tailrace.config.wrong_urls import in_error

    return f'"{in_error(url, plain_path=not scheme.bare)}"'


def _refuse_commas(entry: str, place: str, schemes: Mapping[str, Scheme]) -> None:
    before_query = entry.partition("?")[0]
    if any(f",{name}:" in before_query for name in schemes):
        raise ConfigError(place, "it holds several URLs with commas between them", "separate them by blanks")


def _take_options(url: Url, scheme: Scheme, place: str) -> dict[str, str]:
    """Our own keys of the query, checked."""
    options: dict[str, str] = {}
    known = f"known: {', '.join(sorted(scheme.keys))}" if scheme.keys else "this scheme takes none"
    for item in url.query:
        check = scheme.keys.get(item.key)
        if check is None:
            if scheme.open_query and not item.key.lower().startswith(scheme.prefix):
                continue
            meant = suggestion(item.key, scheme.keys)
            raise ConfigError(place, f"unknown query key {_shown_key(item)}in {_named(url, scheme)}{meant}", known)
        if item.key in options:
            found = f'the query key "{item.key}" stands twice in {_named(url, scheme)}'
            raise ConfigError(place, found, "write it once")
        allowed = check(item.value or "")
        if allowed is not None:
            found = f'the value of "{item.key}" cannot be used in {_named(url, scheme)}'
            raise ConfigError(place, found, f"allowed: {allowed}")
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
