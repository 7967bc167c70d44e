"""Where the configuration file is looked for. Costs two looks at the disk where there is none."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tailrace.config.file import ConfigFile

CONFIG_FILE = "TAILRACE_CONFIG_FILE"
DEFAULT_PLACES = ("/var/task/tailrace.toml", "/opt/tailrace.toml")


def config_path(environ: Mapping[str, str], places: Sequence[str] = DEFAULT_PLACES) -> str | None:
    """The file that `TAILRACE_CONFIG_FILE` names, whether it is there or not; else the first of `places` that is."""
    return environ.get(CONFIG_FILE, "").strip() or next((place for place in places if _is_there(place)), None)


def read_config(environ: Mapping[str, str], places: Sequence[str] = DEFAULT_PLACES) -> ConfigFile | None:
    """The configuration file, if there is one. Never raises: see `ConfigFile.tables`."""
    path = config_path(environ, places)
    if path is None:
        return None
    from tailrace.config.file import load_config_file

    return load_config_file(path, environ)


def _is_there(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True
