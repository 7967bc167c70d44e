"""The agent's settings from all that may say them. Fail open: what cannot be used is named once and changes nothing."""

from __future__ import annotations

from tailrace.config.flush import FlushStrategy, flush_variable, parse_flush_strategy
from tailrace.config.headers import HttpHeaders
from tailrace.config.layers import DEFAULT, ENVIRONMENT, OPTION, Layer
from tailrace.config.wording import closest, suggestion
from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tailrace.config.file import ConfigFile
    from tailrace.config.tables import DestinationTable, MaskSpec

RECORD_TYPES = ("platform", "function", "extension")
DEFAULT_TYPES = ("platform", "function")
LEDGER_FORMS = ("metrics", "record")
DEFAULT_SPOOL_DIR = "/tmp/tailrace"  # noqa: S108 - an environment has its own, and what lies there is looked at first
DEFAULT_LISTEN_HOST = "0.0.0.0"  # noqa: S104 - the platform delivers to a name of the sandbox, not to loopback

# name of the variable: attribute, default, least, most
_NUMBERS = {
    "TAILRACE_END_WAIT_MS": ("end_wait_ms", 500, 0, 60_000),
    "TAILRACE_SETTLE_MS": ("settle_ms", 2, 0, 10_000),
    "TAILRACE_WRITE_TIMEOUT_MS": ("write_timeout_ms", 500, 0, 60_000),
    "TAILRACE_REPLY_WAIT_MS": ("reply_wait_ms", 5, 0, 60_000),
    "TAILRACE_STEADY_MS": ("steady_ms", 1000, 0, 900_000),
    "TAILRACE_STEADY_AFTER": ("steady_after", 20, 1, 1_000_000),
    "TAILRACE_MARGIN_MS": ("margin_ms", 100, 0, 60_000),
    "TAILRACE_QUEUE_MAX_BYTES": ("queue_max_bytes", 8_388_608, 65_536, 1_073_741_824),
    "TAILRACE_SPOOL_MAX_BYTES": ("spool_max_bytes", 67_108_864, 0, 10_737_418_240),
    "TAILRACE_SPOOL_MAX_AGE_S": ("spool_max_age_s", 86_400, 1, 31_536_000),
}
SETTINGS = (
    *_NUMBERS,
    "TAILRACE_FLUSH",
    "TAILRACE_DESTINATIONS",
    "TAILRACE_HTTP_HEADERS",
    "TAILRACE_TYPES",
    "TAILRACE_LISTEN_HOST",
    "TAILRACE_SPOOL_DIR",
    "TAILRACE_DEAD_LETTER",
    "TAILRACE_LEDGER",
    "TAILRACE_MASK",
    "TAILRACE_MASK_KEYS",
    "TAILRACE_CONFIG_FILE",
)
"""Every variable of ours."""

CONFIG_FILE = "TAILRACE_CONFIG_FILE"
AT_START_ONLY = (CONFIG_FILE, "TAILRACE_LISTEN_HOST")
"""What is needed before a file could be read."""
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


class Settings:
    """What the agent goes by, where destinations are not concerned.

    `types` are the record types to deliver; `flush` says when; `end_wait_ms` is the longest wait for replies at the end
    of an invocation where they are waited for in full, `reply_wait_ms` where they are not, `write_timeout_ms` the
    longest wait for the wire, `settle_ms` the wait for late records there, `margin_ms` the distance kept from the
    invocation's deadline, `steady_after` intervals of at most `steady_ms` between invocations make them overlap
    their deliveries;
    `queue_max_bytes` bounds what each destination may hold in memory, `spool_max_bytes` what all of them have on disk
    below `spool_dir`, and `spool_max_age_s` how long it lies there. `destination_tables` are those of a file, where
    nothing else names destinations; `mask_specs` the rules of masking, and with `masks_unknown` there may be more that
    nobody could read. `problems` name the values that could not be used.
    """

    __slots__ = (
        "_sources",
        "dead_letters",
        "destination_tables",
        "destinations_setting",
        "end_wait_ms",
        "flush",
        "http_headers",
        "ledger",
        "listen_host",
        "margin_ms",
        "mask_specs",
        "masks_unknown",
        "problems",
        "queue_max_bytes",
        "reply_wait_ms",
        "settle_ms",
        "spool_dir",
        "spool_max_age_s",
        "spool_max_bytes",
        "steady_after",
        "steady_ms",
        "types",
        "write_timeout_ms",
    )

    end_wait_ms: int
    settle_ms: int
    write_timeout_ms: int
    reply_wait_ms: int
    steady_ms: int
    steady_after: int
    margin_ms: int
    queue_max_bytes: int
    spool_max_bytes: int
    spool_max_age_s: int

    def __init__(self) -> None:
        for name, default, _, _ in _NUMBERS.values():
            setattr(self, name, default)
        self.http_headers = HttpHeaders()
        self.types: tuple[str, ...] = DEFAULT_TYPES
        self.ledger: tuple[str, ...] = ()  # in which forms beside its last line, of `LEDGER_FORMS`
        self.listen_host = DEFAULT_LISTEN_HOST
        self.flush = FlushStrategy()
        self.spool_dir = DEFAULT_SPOOL_DIR
        # URLs that may hold secrets, what a message calls each, and its source; the last that can be used holds
        self.dead_letters: list[tuple[str, str, str]] = []
        self.destinations_setting = "TAILRACE_DESTINATIONS"  # what a message calls the value that holds
        self.destination_tables: list[DestinationTable] = []
        self.mask_specs: list[MaskSpec] = []
        self.masks_unknown = False
        self.problems: list[ConfigError] = []
        self._sources: dict[str, str] = {}

    @property
    def dead_letter(self) -> str:
        """The URL with the most weight, whether it can be used or not; nothing where none is asked for."""
        return self.dead_letters[-1][0] if self.dead_letters else ""

    @property
    def all_types(self) -> tuple[str, ...]:
        """The types that any destination wants."""
        wanted = set(self.types)
        for table in self.destination_tables:
            wanted.update((table.filter.types if table.filter is not None else None) or ())
        return tuple(kind for kind in RECORD_TYPES if kind in wanted)

    def source_of(self, name: str) -> str:
        """Where the value of the attribute `name` came from: ``default``, ``environment variable X``, ``FILE: key`` or
        ``option --env X``."""
        return self._sources.get(name, DEFAULT)

    def _set(self, name: str, value: object, source: str) -> None:
        setattr(self, name, value)
        self._sources[name] = source

    def _standing(self, name: str, shown: object) -> str:
        """What holds where a value of `name` cannot be used."""
        source = self._sources.get(name)
        return f"the default {shown} is used" if source is None else f"{shown} is used, from {source}"


def load_settings(
    environ: Mapping[str, str], file: ConfigFile | None = None, options: Mapping[str, str] | None = None
) -> Settings:
    """Settings from the defaults, `file`, `environ` and the command line's `options`, the later ones winning.

    Never raises for a value: see `Settings.problems`. A blank value counts as not set. Masks do not replace each other:
    all that are asked for anywhere hold.
    """
    settings = Settings()
    layers = [] if file is None else [file.layer]
    layers.append(Layer(environ, ENVIRONMENT))
    if options:
        layers.append(Layer(options, OPTION))
    if file is not None:
        _take_tables(settings, file)
    for layer in layers:
        _load_layer(settings, layer)
        _look_for_slips(settings, layer)
    return settings


def _take_tables(settings: Settings, file: ConfigFile) -> None:
    tables = file.tables
    settings.problems += tables.problems
    settings.destination_tables = tables.destinations
    settings.mask_specs += tables.masks
    settings.masks_unknown = tables.masks_unknown
    if tables.headers.pairs:
        settings._set("http_headers", tables.headers, f"{file.path}: http_headers")


def _load_layer(settings: Settings, layer: Layer) -> None:
    for variable, (name, _, least, most) in _NUMBERS.items():
        text = layer.text(variable)
        if text:
            number = _whole_number(text)
            if number is None or not least <= number <= most:
                found = f"{_quoted(text)} is not a whole number from {least} to {most}"
                remedy = settings._standing(name, getattr(settings, name))
                settings.problems.append(ConfigError(layer.place(variable), found, remedy))
            else:
                settings._set(name, number, layer.source(variable))
    _load_flush(settings, layer)
    _load_words(settings, layer, "TAILRACE_TYPES", "types", RECORD_TYPES, "type")
    _load_words(settings, layer, "TAILRACE_LEDGER", "ledger", LEDGER_FORMS, "form")
    _load_listen_host(settings, layer)
    _load_dead_letter(settings, layer)
    _load_headers(settings, layer)
    _load_spool_dir(settings, layer)
    if layer.text("TAILRACE_DESTINATIONS"):
        settings.destination_tables = []
        settings.destinations_setting = layer.place("TAILRACE_DESTINATIONS")
    _load_masks(settings, layer)


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


def _load_flush(settings: Settings, layer: Layer) -> None:
    variable = flush_variable(layer.values)
    if variable:
        try:
            strategy = parse_flush_strategy(layer.text(variable), layer.place(variable), settings.flush.policy)
            settings._set("flush", strategy, layer.source(variable))
        except ConfigError as problem:
            settings.problems.append(problem)


def _load_words(settings: Settings, layer: Layer, variable: str, name: str, known: tuple[str, ...], noun: str) -> None:
    """Any of the `known` words, separated by commas or blanks."""
    words = layer.text(variable).replace(",", " ").lower().split()
    unknown = [word for word in words if word not in known]
    if unknown:
        found = f"unknown {noun} {_quoted(unknown[0])}{suggestion(unknown[0], known)}"
        standing = settings._standing(name, ",".join(getattr(settings, name)) or "none")
        settings.problems.append(ConfigError(layer.place(variable), found, f"known: {', '.join(known)}; {standing}"))
    elif words:
        settings._set(name, tuple(word for word in known if word in words), layer.source(variable))


def _load_listen_host(settings: Settings, layer: Layer) -> None:
    text = layer.text("TAILRACE_LISTEN_HOST")
    if not text:
        return
    if not _HOST.issuperset(text):
        found = f"{_quoted(text)} is neither an IPv4 address nor a host name"
        remedy = f"the default {DEFAULT_LISTEN_HOST} is used"
        settings.problems.append(ConfigError(layer.place("TAILRACE_LISTEN_HOST"), found, remedy))
    else:
        settings._set("listen_host", text, layer.source("TAILRACE_LISTEN_HOST"))


def _load_spool_dir(settings: Settings, layer: Layer) -> None:
    text = layer.text("TAILRACE_SPOOL_DIR")
    if text and not (text.startswith("/") and "\0" not in text):
        found = f"{_quoted(text)} is not an absolute path"
        remedy = settings._standing("spool_dir", settings.spool_dir)
        settings.problems.append(ConfigError(layer.place("TAILRACE_SPOOL_DIR"), found, remedy))
    elif text:
        settings._set("spool_dir", text.rstrip("/") or "/", layer.source("TAILRACE_SPOOL_DIR"))


def _load_dead_letter(settings: Settings, layer: Layer) -> None:
    """Understood where it is used: what schemes there are is not known here."""
    text = layer.text("TAILRACE_DEAD_LETTER")
    if text:
        variable = "TAILRACE_DEAD_LETTER"
        settings.dead_letters.append((text, layer.place(variable), layer.source(variable)))


def _load_headers(settings: Settings, layer: Layer) -> None:
    text = layer.values.get("TAILRACE_HTTP_HEADERS", "")
    if text.strip():
        from tailrace.config.header_lines import parse_headers

        headers = parse_headers(text, layer.place("TAILRACE_HTTP_HEADERS"), settings.problems)
        if headers.pairs:  # where no line can be used, those of the layer below stay
            settings._set("http_headers", headers, layer.source("TAILRACE_HTTP_HEADERS"))


def _load_masks(settings: Settings, layer: Layer) -> None:
    """Built-in rules by name, and names of members whose values are masked."""
    rules = layer.text("TAILRACE_MASK").replace(",", " ").split()
    keys = layer.text("TAILRACE_MASK_KEYS").replace(",", " ").split()
    if rules or keys:
        from tailrace.config.tables import MaskSpec

        source = layer.place("TAILRACE_MASK")
        settings.mask_specs += [MaskSpec(source, rule, rule=rule) for rule in rules]
        if keys:
            settings.mask_specs.append(MaskSpec(layer.place("TAILRACE_MASK_KEYS"), "keys", keys=tuple(keys)))


def _look_for_slips(settings: Settings, layer: Layer) -> None:
    """A name one slip away from a setting, of which nothing is set: somebody waits for an effect that never comes."""
    for variable in layer.values:
        if variable.startswith("TAILRACE") and variable not in SETTINGS:
            meant = closest(variable, SETTINGS, limit=1)
            if meant and meant not in layer.values:
                remedy = f"did you mean {meant}?"
                settings.problems.append(ConfigError(layer.place(variable), "there is no such setting", remedy))


def _quoted(text: str) -> str:
    """A value as found, for a message: on one line, not endless."""
    return '"' + ascii(text)[1:-1][:60] + '"'
