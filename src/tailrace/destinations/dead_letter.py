"""The destination for what the others do not get: a folder or a bucket, where writing again leaves one copy."""

from __future__ import annotations

from tailrace.config.destinations import VARIABLE, load_destinations
from tailrace.destinations.registry import SCHEMES
from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tailrace.pipeline.interfaces import Destination

_SCHEMES = {name: SCHEMES[name] for name in ("file", "s3")}


def dead_letter_destination(url: str, setting: str, environ: Mapping[str, str]) -> Destination:
    """The destination that `setting` asks for. Raises `ConfigError` about it."""
    found = load_destinations({VARIABLE: url}, _SCHEMES)
    if found.problems:
        raise ConfigError(setting, found.problems[0].found, found.problems[0].remedy)
    if len(found.specs) != 1:
        raise ConfigError(setting, f"it holds {len(found.specs)} URLs", "write one, with blanks as %20")
    (spec,) = found.specs
    spec.setting = setting
    if spec.scheme == "file":
        from tailrace.destinations import file

        return file.create(spec)
    from tailrace.destinations import s3

    return s3.create(spec, environ)
