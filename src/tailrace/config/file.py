"""The configuration file: found, read, and turned into the same words that the environment speaks."""

from __future__ import annotations

import posix

from tailrace.config.file_tables import Fields, destination_tables, expanded, header_table, mask_specs
from tailrace.config.layers import Layer
from tailrace.config.settings import AT_START_ONLY, CONFIG_FILE, SETTINGS
from tailrace.config.tables import Tables
from tailrace.config.toml import TomlError, loads
from tailrace.config.wording import suggestion
from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "TAILRACE_"
MAX_BYTES = 1_048_576
# The emulator's own table; the same file may serve both.
_NOT_OURS = ("emulator",)
_TABLES = ("destinations", "http_headers", "mask")
KEYS = tuple(name.removeprefix(PREFIX).lower() for name in SETTINGS if name != CONFIG_FILE)
"""Every key of the top level: the variables' names in lower case, without what they begin with."""

TOP_LEVEL = (*KEYS, *_NOT_OURS)
"""All that may stand at the top level of a file that serves the agent and the emulator."""


class ConfigFile:
    """A file as it was found: its `path`, its plain values as a `layer`, and its `tables`."""

    __slots__ = ("layer", "path", "tables")

    def __init__(self, path: str, layer: Layer, tables: Tables) -> None:
        self.path = path
        self.layer = layer
        self.tables = tables


def load_config_file(path: str, environ: Mapping[str, str]) -> ConfigFile:
    """The file at `path`. Never raises for what is in it, or for its absence: see `Tables.problems`.

    `environ` has the values that ``${NAME}`` stands for.
    """
    tables = Tables()
    values: dict[str, str] = {}
    places: dict[str, str] = {}
    document = _read(path, tables)
    for key, value in document.items():
        place = f"{path}: {shown_key(key)}"
        try:
            if key in _TABLES:
                _take_table(key, value, place, environ, tables)
            elif key in KEYS:
                variable = PREFIX + key.upper()
                values[variable] = _plain(variable, value, place, environ)
                places[variable] = place
            elif key not in _NOT_OURS:
                raise ConfigError(
                    place, f"there is no such key{suggestion(key, TOP_LEVEL)}", f"known: {', '.join(KEYS)}"
                )
        except ConfigError as problem:
            tables.problems.append(problem)
            tables.masks_unknown = tables.masks_unknown or "mask" in key.lower()
    return ConfigFile(path, Layer(values, f"{path}: ", places), tables)


def _take_table(key: str, value: object, place: str, environ: Mapping[str, str], tables: Tables) -> None:
    if key == "http_headers":
        tables.headers = header_table(value, place, environ, tables.problems)
    elif key == "mask":
        tables.masks += mask_specs(value, place, tables)
    else:
        tables.destinations += destination_tables(value, place, environ, tables.problems)


def _plain(variable: str, value: object, place: str, environ: Mapping[str, str]) -> str:
    """A value in the words of the environment. Raises `ConfigError` for shapes that no setting has."""
    if variable in AT_START_ONLY:
        raise ConfigError(place, "it is needed before any file can be read", f"set {variable} in the environment")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return expanded(value, place, environ)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    raise ConfigError(place, f"it is {Fields.kind_of(value)}", "allowed: a text, a whole number or a list of texts")


def _read(path: str, tables: Tables) -> dict[str, object]:
    """The document; an empty one, and a problem, where there is none to be had."""
    try:
        data = _bytes_of(path)
    except (OSError, ValueError) as error:
        found = f"the file {path} cannot be read ({getattr(error, 'strerror', None) or 'not a path'})"
        tables.problems.append(ConfigError(CONFIG_FILE, found, "the environment and the defaults are used"))
        return {}
    try:
        return loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        found = "it is not UTF-8 text"
    except TomlError as error:
        found = f"it is not TOML: {error}"
    tables.masks_unknown = b"mask" in data
    remedy = "nothing of it is used"
    if tables.masks_unknown:
        remedy += ", and because it speaks of masks every line is withheld"
    tables.problems.append(ConfigError(path, found, remedy))
    return {}


def _bytes_of(path: str) -> bytes:
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    try:
        pieces = []
        left = MAX_BYTES
        while left > 0 and (piece := posix.read(descriptor, left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)
    finally:
        posix.close(descriptor)


def shown_key(key: str) -> str:
    """A key as far as it can be shown on one line."""
    return ascii(key)[1:-1][:60]
