"""Two entries for one place. Names of objects tell batches apart and not destinations: the one would replace what the
other has written, and both would count it as delivered. Loaded where there is more than one destination."""

from __future__ import annotations

import posix

from tailrace.config.urls import decode
from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tailrace.config.destinations import DestinationSpec

_MAX_LINKS = 40  # as many as the kernel follows


def refuse_same_place(spec: DestinationSpec, others: Sequence[DestinationSpec], environ: Mapping[str, str]) -> None:
    """Raises `ConfigError` where one of the `others` writes to the place of `spec`, however that is spelled."""
    place = place_of(spec, environ)
    for other in others if place is not None else ():
        if place_of(other, environ) == place:
            found = f'"{spec.name}" is the place of "{other.name}" ({other.setting})'
            raise ConfigError(spec.setting, found, "give each of them a folder or a prefix of its own, or keep one")


def place_of(spec: DestinationSpec, environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """Where what the destination writes lies; None where whoever takes it makes a place for it. Compressed objects have
    names of their own."""
    ending = spec.options.get("compress", "none")
    if spec.scheme == "file":
        return "file", real_path(decode(spec.url.path)), ending
    if spec.scheme == "s3":
        bucket = spec.url.host
        return "s3", _store(spec, environ), bucket, decode(spec.url.path).strip("/"), ending
    return ("stdout",) if spec.scheme == "stdout" else None


def _store(spec: DestinationSpec, environ: Mapping[str, str]) -> str:
    """Whose bucket it is. Those of AWS are of all regions together, and it does not matter where an address names the
    bucket."""
    from tailrace.config.urls import encode
    from tailrace.destinations.s3 import address_of

    bucket = spec.url.host
    address = address_of(bucket, spec.options, environ, spec.setting)
    if address.is_aws:
        return "aws"
    host = address.host.removeprefix(f"{bucket}.").lower()
    return f"{host}:{address.port}{address.base_path.removesuffix('/' + encode(bucket, ''))}"


def real_path(path: str) -> str:
    """An absolute path without links, empty segments, ``.`` and ``..``, as far as it exists."""
    left = [segment for segment in reversed(path.split("/")) if segment]
    found: list[str] = []
    n_links = 0
    while left:
        segment = left.pop()
        if segment in (".", ".."):
            del found[len(found) - (segment == "..") :]
            continue
        target = _link("/".join(("", *found, segment))) if n_links < _MAX_LINKS else ""
        if not target:
            found.append(segment)
            continue
        n_links += 1
        if target.startswith("/"):
            found = []
        left += [part for part in reversed(target.split("/")) if part]
    return "/" + "/".join(found)


def _link(path: str) -> str:
    """Where the link leads; nothing where it is none."""
    try:
        return posix.readlink(path)
    except (OSError, ValueError):
        return ""
