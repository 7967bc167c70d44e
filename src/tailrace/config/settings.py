"""The agent's settings from its environment. Fail open: a bad value is named once and the default used."""

from __future__ import annotations

from tailrace.config.flush import FlushStrategy, load_flush_strategy
from tailrace.config.headers import HttpHeaders, parse_headers
from tailrace.config.wording import closest, suggestion
from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

RECORD_TYPES = ("platform", "function", "extension")
DEFAULT_TYPES = ("platform", "function")
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
}
SETTINGS = (
    *_NUMBERS,
    "TAILRACE_FLUSH",
    "TAILRACE_DESTINATIONS",
    "TAILRACE_HTTP_HEADERS",
    "TAILRACE_TYPES",
    "TAILRACE_LISTEN_HOST",
    "TAILRACE_SPOOL_DIR",
)
"""Every variable of ours. The last one is where records that wait will lie on disk; nothing is written there yet."""

CONFIG_FILE = "TAILRACE_CONFIG_FILE"
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


class Settings:
    """What the agent goes by, where destinations are not concerned.

    `types` are the record types to deliver; `flush` says when; `end_wait_ms` is the longest wait for replies at the end
    of an invocation where they are waited for in full, `reply_wait_ms` where they are not, `write_timeout_ms` the
    longest wait for the wire, `settle_ms` the wait for late records there, `margin_ms` the distance kept from the
    invocation's deadline, `steady_after` intervals of at most `steady_ms` between invocations make them overlap
    their deliveries;
    `queue_max_bytes` bounds what each destination may hold. `problems` name the values that could not be used.
    """

    __slots__ = (
        "_sources",
        "end_wait_ms",
        "flush",
        "http_headers",
        "listen_host",
        "margin_ms",
        "problems",
        "queue_max_bytes",
        "reply_wait_ms",
        "settle_ms",
        "steady_after",
        "steady_ms",
        "types",
        "write_timeout_ms",
    )

    def __init__(self) -> None:
        self.http_headers = HttpHeaders()
        self.types: tuple[str, ...] = DEFAULT_TYPES
        self.listen_host = DEFAULT_LISTEN_HOST
        self.end_wait_ms = 500
        self.flush = FlushStrategy()
        self.settle_ms = 2
        self.write_timeout_ms = 500
        self.reply_wait_ms = 5
        self.steady_ms = 1000
        self.steady_after = 20
        self.margin_ms = 100
        self.queue_max_bytes = 8_388_608
        self.problems: list[ConfigError] = []
        self._sources: dict[str, str] = {}

    def source_of(self, name: str) -> str:
        """Where the value of the attribute `name` came from: ``default`` or ``environment variable X``."""
        return self._sources.get(name, "default")

    def _set(self, name: str, value: object, variable: str) -> None:
        setattr(self, name, value)
        self._sources[name] = f"environment variable {variable}"


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from `environ`. Never raises for a value: see `Settings.problems`. A blank value counts as not set."""
    settings = Settings()
    for variable, (name, default, least, most) in _NUMBERS.items():
        text = environ.get(variable, "").strip()
        if text:
            number = _whole_number(text)
            if number is None or not least <= number <= most:
                settings.problems.append(_not_a_number(variable, text, default, least, most))
            else:
                settings._set(name, number, variable)
    strategy, variable = load_flush_strategy(environ, settings.problems)
    if variable:
        settings._set("flush", strategy, variable)
    _load_types(settings, environ.get("TAILRACE_TYPES", ""))
    _load_listen_host(settings, environ.get("TAILRACE_LISTEN_HOST", "").strip())
    _load_headers(settings, environ.get("TAILRACE_HTTP_HEADERS", ""))
    _look_for_slips(settings, environ)
    return settings


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


def _not_a_number(variable: str, text: str, default: int, least: int, most: int) -> ConfigError:
    return ConfigError(
        variable,
        f"{_quoted(text)} is not a whole number from {least} to {most}",
        f"the default {default} is used",
    )


def _load_types(settings: Settings, text: str) -> None:
    words = text.replace(",", " ").lower().split()
    unknown = [word for word in words if word not in RECORD_TYPES]
    if unknown:
        found = f"unknown type {_quoted(unknown[0])}{suggestion(unknown[0], RECORD_TYPES)}"
        remedy = f"known: {', '.join(RECORD_TYPES)}; the default {','.join(DEFAULT_TYPES)} is used"
        settings.problems.append(ConfigError("TAILRACE_TYPES", found, remedy))
    elif words:
        settings._set("types", tuple(kind for kind in RECORD_TYPES if kind in words), "TAILRACE_TYPES")


def _load_listen_host(settings: Settings, text: str) -> None:
    if not text:
        return
    if not _HOST.issuperset(text):
        found = f"{_quoted(text)} is neither an IPv4 address nor a host name"
        remedy = f"the default {DEFAULT_LISTEN_HOST} is used"
        settings.problems.append(ConfigError("TAILRACE_LISTEN_HOST", found, remedy))
    else:
        settings._set("listen_host", text, "TAILRACE_LISTEN_HOST")


def _load_headers(settings: Settings, text: str) -> None:
    if text.strip():
        headers = parse_headers(text, "TAILRACE_HTTP_HEADERS", settings.problems)
        settings._set("http_headers", headers, "TAILRACE_HTTP_HEADERS")


def _look_for_slips(settings: Settings, environ: Mapping[str, str]) -> None:
    """A name one slip away from a setting, of which nothing is set: somebody waits for an effect that never comes."""
    for variable in environ:
        if variable == CONFIG_FILE:
            found = "configuration files are not read by this version"
            settings.problems.append(ConfigError(CONFIG_FILE, found, "set environment variables instead"))
        elif variable.startswith("TAILRACE") and variable not in SETTINGS:
            meant = closest(variable, SETTINGS, limit=1)
            if meant and meant not in environ:
                settings.problems.append(ConfigError(variable, "there is no such setting", f"did you mean {meant}?"))


def _quoted(text: str) -> str:
    """A value as found, for a message: on one line, not endless."""
    return '"' + ascii(text)[1:-1][:60] + '"'
