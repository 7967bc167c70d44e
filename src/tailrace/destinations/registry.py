"""The table of schemes: what their URLs may say, and how each destination is made. Its code loads when it is used."""

from __future__ import annotations

from tailrace.config.destinations import Scheme, load_destinations
from tailrace.config.urls import Url, decode, parse_url
from tailrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tailrace.config.destinations import Check, DestinationSpec
    from tailrace.config.settings import Settings
    from tailrace.pipeline.interfaces import Destination

_REGION = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_BUCKET = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


def one_of(*words: str) -> Check:
    """A check that takes these words only."""

    def check(value: str) -> str | None:
        return None if value in words else ", ".join(words)

    return check


def _check_region(value: str) -> str | None:
    return None if value and _REGION.issuperset(value) else "the name of a region, like eu-west-1"


def _check_endpoint(value: str) -> str | None:
    from tailrace.destinations.s3 import endpoint_trouble

    allowed = "a URL of http or https with a host, without user information and query"
    try:
        return allowed if endpoint_trouble(parse_url(value, "endpoint")) else None
    except ConfigError:
        return allowed


def _check_kms_key(value: str) -> str | None:
    if value and all("!" <= ch <= "~" for ch in value):
        return None
    return "the id, the ARN or the alias of a KMS key"


def _check_file(url: Url, options: Mapping[str, str]) -> tuple[str, str] | None:  # noqa: ARG001 - UrlCheck
    if url.host or url.username is not None or url.port is not None:
        return (
            f'"{url.host}" stands where a host would',
            f"a folder is written with three slashes and its whole path, like file:///tmp/{url.host}",
        )
    if not url.path.startswith("/") or not url.path.strip("/"):
        return "no absolute path", "write file:///path/of/a/folder"
    if "\0" in decode(url.path):
        return "a NUL character in the path", "write file:///path/of/a/folder"
    return None


def _check_stdout(url: Url, options: Mapping[str, str]) -> tuple[str, str] | None:  # noqa: ARG001 - UrlCheck
    plain = not url.host and url.username is None and url.port is None and url.path in ("", "/")
    return None if plain else ("more than the scheme", "write stdout: alone")


def _check_s3(url: Url, options: Mapping[str, str]) -> tuple[str, str] | None:
    if url.username is not None or url.port is not None:
        return (
            "user information or a port",
            "write s3://BUCKET/PREFIX; credentials come from the environment, a port belongs into endpoint=",
        )
    if not _BUCKET.issuperset(url.host) or not 3 <= len(url.host) <= 255:
        return "no name of a bucket", "write s3://BUCKET/PREFIX; a bucket's name has 3 or more letters, digits, - . _"
    if len(decode(url.path).encode()) > 512:
        return "a prefix of more than 512 bytes", "a key has 1024 bytes at most"
    if "sse-kms-key-id" in options and not options.get("sse", "").startswith("aws:kms"):
        return "sse-kms-key-id without KMS", "add sse=aws:kms or sse=aws:kms:dsse"
    return None


def _check_http(url: Url, options: Mapping[str, str]) -> tuple[str, str] | None:  # noqa: ARG001 - UrlCheck
    return None if url.host else ("no host", f"write {url.scheme}://HOST/PATH")


_COMPRESS = one_of("gzip", "none")
_S3_KEYS: dict[str, Check] = {
    "region": _check_region,
    "compress": _COMPRESS,
    "endpoint": _check_endpoint,
    "path-style": one_of("true", "false", "auto"),
    "sse": one_of("AES256", "aws:kms", "aws:kms:dsse"),
    "sse-kms-key-id": _check_kms_key,
}
_HTTP_KEYS: dict[str, Check] = {"tailrace-format": one_of("ndjson", "array"), "tailrace-compress": _COMPRESS}


def _http_scheme(name: str) -> Scheme:
    return Scheme(
        name, _HTTP_KEYS, _check_http, open_query=True, prefix="tailrace-", secret_path=True, takes_headers=True
    )


SCHEMES: dict[str, Scheme] = {
    "file": Scheme("file", {"compress": _COMPRESS}, _check_file),
    "http": _http_scheme("http"),
    "https": _http_scheme("https"),
    "s3": Scheme("s3", _S3_KEYS, _check_s3),
    "stdout": Scheme("stdout", {}, _check_stdout, bare=True),
}


class Built:
    """The destinations that stand, with what is to be said about them once, and what is wrong with the others.

    `specs` say for each destination how it was asked for. `faults` are wrong words about those that stand.
    """

    __slots__ = ("destinations", "faults", "problems", "specs", "warnings")

    def __init__(self) -> None:
        self.destinations: list[Destination] = []
        self.specs: list[DestinationSpec] = []
        self.problems: list[ConfigError] = []
        self.faults: list[ConfigError] = []
        self.warnings: list[str] = []


def build_destinations(environ: Mapping[str, str], settings: Settings) -> Built:
    """Every destination that `environ` asks for and that can be made. Never raises for a setting."""
    wanted = load_destinations(environ, SCHEMES, settings.destination_tables, settings.destinations_setting)
    built = Built()
    built.problems += wanted.problems
    built.faults += wanted.faults
    for spec in wanted.specs:
        try:
            destination = _create(spec, environ, settings)
            if built.specs:
                from tailrace.destinations.same_place import refuse_same_place

                refuse_same_place(spec, built.specs, environ)
            built.destinations.append(destination)
        except ConfigError as problem:
            built.problems.append(problem)
        else:
            built.specs.append(spec)
            built.warnings += _warnings_about(spec)
    return built


def _create(spec: DestinationSpec, environ: Mapping[str, str], settings: Settings) -> Destination:
    if spec.scheme == "file":
        from tailrace.destinations import file

        return file.create(spec)
    if spec.scheme == "s3":
        from tailrace.destinations import s3

        return s3.create(spec, environ)
    if spec.scheme == "stdout":
        return _create_stdout(spec, settings)
    from tailrace.destinations import http

    own = spec.table.headers if spec.table is not None else None
    return http.create(spec, settings.http_headers if own is None else settings.http_headers.with_others(own))


def _create_stdout(spec: DestinationSpec, settings: Settings) -> Destination:
    """What the agent prints comes back as records of type extension: shipping those there would never end."""
    asked = spec.table.filter if spec.table is not None else None
    types = asked.types if asked is not None and asked.types is not None else settings.types
    if "extension" in types:
        found = "stdout cannot take records of type extension: each line would come back as another record"
        raise ConfigError(spec.setting, found, "take extension out of TAILRACE_TYPES, or choose another destination")
    from tailrace.destinations import stdout

    return stdout.create(spec)


def _warnings_about(spec: DestinationSpec) -> list[str]:
    if spec.scheme != "stdout":
        return []
    from tailrace.destinations.stdout import WARNING

    return [WARNING]
