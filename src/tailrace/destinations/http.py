"""``http://`` and ``https://``: POST of NDJSON or of a JSON array to any URL."""

from __future__ import annotations

import tailrace.pipeline.wire.http_transport  # noqa: F401 - it will carry these requests: the first of them should not wait for it
from tailrace.aws.sigv4 import base64
from tailrace.config.urls import encode
from tailrace.destinations._replies import redirect_host, retry_after_s
from tailrace.destinations._shared import NDJSON, RequestLimits, gzipped, gzipped_lines, ndjson_body, ndjson_line
from tailrace.pipeline.identity import batch_id
from tailrace.pipeline.messages import (
    AUTHENTICATION,
    DELIVERED,
    POISONED,
    REJECTED,
    RETRY,
    SPLIT,
    HttpRequest,
    Outcome,
)
from tailrace.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tailrace.config.destinations import DestinationSpec
    from tailrace.config.headers import HttpHeaders
    from tailrace.config.urls import Url
    from tailrace.model.batch import Batch
    from tailrace.model.record import Record
    from tailrace.model.resource import Resource
    from tailrace.pipeline.messages import Reply

_LIMITS = RequestLimits(1_000, 1024 * 1024, 1.0)
_RETRIED = frozenset((408, 425, 429))
_ABOUT_CONTENT = frozenset((400, 422))
_TARGET = "/%!$&'()*+,;=:@?"  # what may stand in a target as the user wrote it (RFC 3986)


class HttpDestination:
    """The server is not known to recognise a batch that it has seen, though it is told: ``Idempotency-Key``."""

    __slots__ = ("_as_array", "_compress", "_headers", "_host", "_port", "_target", "_tls", "name")

    idempotent = False
    limits = _LIMITS

    def __init__(self, name: str, url: Url, options: Mapping[str, str], headers: HttpHeaders) -> None:
        self.name = name
        self._tls = url.scheme == "https"
        self._host = url.host
        self._port = url.port or (443 if self._tls else 80)
        self._target = _target(url, options)
        self._as_array = options.get("tailrace-format") == "array"
        self._compress = options.get("tailrace-compress") == "gzip"
        self._headers = _headers(url, headers, "application/json" if self._as_array else NDJSON)

    def __repr__(self) -> str:
        return f"HttpDestination({self.name!r})"

    def encode_record(self, record: Record, resource: Resource) -> bytes:
        return ndjson_line(record, resource)

    def truncate_record(self, data: bytes, max_bytes: int) -> bytes | None:
        from tailrace.destinations._truncate import truncated_line

        return truncated_line(data, max_bytes)

    def build_request(self, batch: Batch, resource: Resource, wall_s: float) -> HttpRequest:
        body = self._body(batch)
        headers = [*self._headers, ("Idempotency-Key", batch_id(batch, resource.environment_id))]
        if self._compress:
            headers.append(("Content-Encoding", "gzip"))
        return HttpRequest("POST", self._tls, self._host, self._port, self._target, headers, body)

    def _body(self, batch: Batch) -> bytes:
        if not self._as_array:
            return gzipped_lines(batch) if self._compress else ndjson_body(batch)
        array = b"[" + b",".join(batch.parts) + b"]"
        return gzipped([array]) if self._compress else array

    def classify(self, reply: Reply) -> Outcome:
        status = reply.status
        if 200 <= status < 300:
            return Outcome(DELIVERED)
        reason = f"status {status}"
        if status in _RETRIED or status >= 500:
            return Outcome(RETRY, reason, retry_after_s(reply))
        if status in (401, 403):
            return Outcome(AUTHENTICATION, f"{reason}: the server refuses the credentials")
        if status == 413:
            return Outcome(SPLIT, f"{reason}: the server finds the request too large")
        if status in _ABOUT_CONTENT:
            return Outcome(POISONED, reason)
        if 300 <= status < 400:
            host = redirect_host(reply)
            details = {"redirectedTo": host} if host else None
            return Outcome(REJECTED, f"{reason}: redirected, which is not followed", details=details)
        return Outcome(REJECTED, reason)

    def health_request(self, wall_s: float) -> HttpRequest:
        """OPTIONS: the one method besides GET and HEAD that stores nothing (RFC 9110, 9.2.1), and that asks for what
        else the server can do there. Many do not know it and say so: then they are there, too."""
        headers = [pair for pair in self._headers if pair[0].lower() != "content-type"]
        return HttpRequest("OPTIONS", self._tls, self._host, self._port, self._target, headers, b"")


def create(spec: DestinationSpec, headers: HttpHeaders) -> HttpDestination:
    return HttpDestination(spec.name, spec.url, spec.options, headers)


def _target(url: Url, options: Mapping[str, str]) -> str:
    """Path and query as the user wrote them, less the keys that are ours, in ASCII."""
    query = "&".join(item.raw for item in url.query if item.key not in options)
    return encode(url.path or "/", _TARGET) + ("?" + encode(query, _TARGET) if query else "")


def _headers(url: Url, own: HttpHeaders, content_type: str) -> list[tuple[str, str]]:
    """What every request carries. The user's headers win over ours of the same name."""
    headers = [("Content-Type", content_type), ("User-Agent", f"tailrace/{__version__}")]
    if url.username is not None:
        user = f"{url.username}:{url.password or ''}".encode()
        headers.append(("Authorization", f"Basic {base64(user)}"))
    return [*(pair for pair in headers if pair[0] not in own), *own.pairs]
