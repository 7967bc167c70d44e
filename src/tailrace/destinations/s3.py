"""``s3://bucket/prefix``: one object a batch, by a signed PUT. No SDK."""

from __future__ import annotations

import tailrace.pipeline.wire.http_transport  # noqa: F401 - it will carry these requests: the first of them should not wait for it
from tailrace.aws.credentials import CONTAINER_URI, credentials_source
from tailrace.aws.endpoints import configured_endpoint, configured_region, dns_suffix
from tailrace.aws.sigv4 import base64, sha256, signed_headers
from tailrace.config.urls import decode, encode, parse_url
from tailrace.destinations._s3_replies import classify_s3
from tailrace.destinations._shared import NDJSON, RequestLimits, gzipped_lines, ndjson_body, ndjson_line, partition_key
from tailrace.errors import ConfigError, NoReplyError
from tailrace.pipeline.messages import HttpRequest
from tailrace.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tailrace.aws.credentials import CredentialsSource
    from tailrace.config.destinations import DestinationSpec
    from tailrace.config.urls import Url
    from tailrace.model.batch import Batch
    from tailrace.model.record import Record
    from tailrace.model.resource import Resource
    from tailrace.pipeline.messages import Outcome, Reply

_LIMITS = RequestLimits(10_000, 8 * 1024 * 1024, 5.0, by_hour=True)  # a PUT costs as much as 2 s of a small function
_EMPTY_REGION = "us-east-1"  # what the SDKs sign with where a store of one's own has no regions
_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_REGION_MAX_LENGTH = 63
_FETCH_TIMEOUT_S = 1.0


class S3Address:
    """Where a bucket's objects are: connection, and the path before the key (escaped, without a slash at its end)."""

    __slots__ = ("base_path", "host", "is_aws", "port", "region", "tls")

    def __init__(self, tls: bool, host: str, port: int, base_path: str, region: str, is_aws: bool) -> None:
        self.tls = tls
        self.host = host
        self.port = port
        self.base_path = base_path
        self.region = region
        self.is_aws = is_aws

    @property
    def host_header(self) -> str:
        """As the transport writes it: with the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


class S3Destination:
    """The key depends on the batch alone, so that sending again replaces an object by its equal.

    A compressed object has no ``Content-Encoding``: readers of ``.gz`` keys (Athena, Spark, DuckDB, a person with
    gunzip) expect the object itself to be the gzip file, and clients that undo the encoding would hand them a file
    whose name is then wrong.
    """

    __slots__ = ("_address", "_bucket", "_compress", "_credentials", "_encryption", "_prefix", "name")

    idempotent = True
    limits = _LIMITS

    def __init__(
        self,
        name: str,
        address: S3Address,
        bucket: str,
        prefix: str,
        options: Mapping[str, str],
        credentials: CredentialsSource,
    ) -> None:
        self.name = name
        self._address = address
        self._bucket = bucket
        self._prefix = prefix
        self._compress = options.get("compress") == "gzip"
        self._encryption = _encryption_headers(options)
        self._credentials = credentials

    def __repr__(self) -> str:
        return f"S3Destination({self.name!r})"

    def encode_record(self, record: Record, resource: Resource) -> bytes:
        return ndjson_line(record, resource)

    def truncate_record(self, data: bytes, max_bytes: int) -> bytes | None:
        from tailrace.destinations._truncate import truncated_line

        return truncated_line(data, max_bytes)

    def build_request(self, batch: Batch, resource: Resource, wall_s: float) -> HttpRequest:
        """Raises `ConfigError` without credentials, `ConnectError` where their source does not answer now."""
        body = gzipped_lines(batch) if self._compress else ndjson_body(batch)
        key = self._prefix + partition_key(batch, resource, ".ndjson.gz" if self._compress else ".ndjson")
        digest = sha256(body)
        headers = [("content-type", "application/gzip" if self._compress else NDJSON), *self._encryption]
        if self._address.is_aws:
            # kept with the object, and what buckets with Object Lock insist on; the body itself is signed anyway,
            # so stores that may not know the header are spared it
            headers.append(("x-amz-checksum-sha256", base64(digest)))
        return self._signed("PUT", "/" + encode(key, "/"), headers, body, digest, wall_s)

    def classify(self, reply: Reply) -> Outcome:
        return classify_s3(reply, self._bucket, self._address.region)

    def health_request(self, wall_s: float) -> HttpRequest:
        """HEAD Bucket. Raises as `build_request` does."""
        return self._signed("HEAD", "" if self._address.base_path else "/", [], b"", sha256(b""), wall_s)

    def _signed(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes, digest: bytes, wall_s: float
    ) -> HttpRequest:
        address = self._address
        target = address.base_path + path
        signed = signed_headers(
            method,
            address.host_header,
            target,
            [],
            headers,
            digest,
            self._credentials(wall_s),
            address.region,
            "s3",
            wall_s,
        )
        complete = [*signed, ("user-agent", f"tailrace/{__version__}")]
        return HttpRequest(method, address.tls, address.host, address.port, target, complete, body)


def create(spec: DestinationSpec, environ: Mapping[str, str]) -> S3Destination:
    """Raises `ConfigError` where no region is known, or the environment's endpoint cannot be used."""
    bucket = spec.url.host
    prefix = decode(spec.url.path).strip("/")
    address = address_of(bucket, spec.options, environ, spec.setting)
    key_prefix = prefix + "/" if prefix else ""
    credentials = credentials_source(environ, lambda url, token: _container(url, token, environ))
    return S3Destination(spec.name, address, bucket, key_prefix, spec.options, credentials)


def _container(url: str, token: str, environ: Mapping[str, str]) -> CredentialsSource:
    """The source of credentials behind `url`. Raises `ConfigError` where that is no URL to ask."""
    from tailrace.aws.container_credentials import ContainerCredentials
    from tailrace.clock import SystemClock
    from tailrace.pipeline.times import epoch_ms
    from tailrace.pipeline.wire.http_transport import HttpTransport

    where = parse_url(url, CONTAINER_URI)
    if endpoint_trouble(where):
        raise ConfigError(CONTAINER_URI, endpoint_trouble(where), "the platform sets it")
    tls = where.scheme == "https"
    target = encode(decode(where.path), "/") or "/"
    port = where.port or (443 if tls else 80)

    def fetch(_: str, headers: list[tuple[str, str]]) -> tuple[int, bytes]:
        transport = HttpTransport(SystemClock(), environ)  # asked rarely: a kept connection would be dead by then
        try:
            reply = transport.send(HttpRequest("GET", tls, where.host, port, target, headers, b""), _FETCH_TIMEOUT_S)
        finally:
            transport.close()
        if not reply.is_whole:
            raise NoReplyError("its answer broke off")
        return reply.status, reply.body

    return ContainerCredentials(url, token, fetch, epoch_ms)


def address_of(bucket: str, options: Mapping[str, str], environ: Mapping[str, str], setting: str) -> S3Address:
    """Where `bucket` is: at the URL's own endpoint, the environment's, or AWS's of the region."""
    region = options.get("region") or _region(environ)
    endpoint = _endpoint(options, environ, setting)
    style = options.get("path-style", "auto")
    if endpoint is None:
        if not region:
            raise ConfigError(setting, "no region is known", "add ?region=... to the URL or set AWS_REGION")
        in_path = style == "true" or (style == "auto" and not fits_host_name(bucket))
        host, tls, port, base = f"s3.{region}.{dns_suffix(region)}", True, 443, ""
    else:
        in_path = style != "false"
        host, tls, base = endpoint.host, endpoint.scheme == "https", encode(decode(endpoint.path), "/").rstrip("/")
        port = endpoint.port or (443 if tls else 80)
    if in_path:
        base += "/" + encode(bucket, "")
    else:
        host = f"{bucket}.{host}"
    return S3Address(tls, host, port, base, region or _EMPTY_REGION, endpoint is None)


def _region(environ: Mapping[str, str]) -> str:
    region, variable = configured_region(environ)
    if not _LABEL.issuperset(region) or len(region) > _REGION_MAX_LENGTH:
        raise ConfigError(
            variable, "it holds no name of a region", "set one like eu-west-1, or add ?region=... to the URL"
        )
    return region


def _endpoint(options: Mapping[str, str], environ: Mapping[str, str], setting: str) -> Url | None:
    if "endpoint" in options:
        return parse_url(options["endpoint"], setting)
    text, variable = configured_endpoint(environ, "S3")
    if not text:
        return None
    url = parse_url(text, variable)
    trouble = endpoint_trouble(url)
    if trouble:
        raise ConfigError(variable, trouble, "write http://HOST:PORT or https://HOST")
    return url


def endpoint_trouble(url: Url) -> str:
    """Why a URL cannot be an endpoint, or nothing."""
    if url.scheme not in ("http", "https") or not url.host:
        return "it is no http or https URL with a host"
    if url.username is not None or url.query:
        return "it holds user information or a query"
    return ""


def fits_host_name(bucket: str) -> bool:
    """Whether the bucket can stand as one label before S3's host: dots would break its TLS certificate."""
    return len(bucket) <= 63 and _LABEL.issuperset(bucket) and bucket[:1] != "-" != bucket[-1:]


def _encryption_headers(options: Mapping[str, str]) -> list[tuple[str, str]]:
    headers = []
    if "sse" in options:
        headers.append(("x-amz-server-side-encryption", options["sse"]))
    if "sse-kms-key-id" in options:
        headers.append(("x-amz-server-side-encryption-aws-kms-key-id", options["sse-kms-key-id"]))
    return headers
