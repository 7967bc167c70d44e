"""Requests and replies as data: what a destination wants done, and what came of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class HttpRequest:
    """One HTTP/1.1 request. `headers` hold neither Host nor Content-Length; the transport adds both.

    `idempotent` is true where the method says so (RFC 9110, 9.2.2): sending it twice does what sending it
    once does, so the transport may do that on its own when a kept connection turns out to be dead.
    """

    __slots__ = ("body", "headers", "host", "idempotent", "method", "port", "target", "tls")

    def __init__(
        self,
        method: str,
        tls: bool,
        host: str,
        port: int,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes,
    ) -> None:
        self.method = method
        self.tls = tls
        self.host = host
        self.port = port
        self.target = target
        self.headers = headers
        self.body = body
        self.idempotent = method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")


class FileRequest:
    """Write `body` as the file `path`, so that a reader sees all of it or nothing."""

    __slots__ = ("body", "path")

    def __init__(self, path: str, body: bytes) -> None:
        self.path = path
        self.body = body


class StreamRequest:
    """Write `body` to the standard output."""

    __slots__ = ("body",)

    def __init__(self, body: bytes) -> None:
        self.body = body


class Reply:
    """What came back. For files and streams: status 200. Header names are lower case. `came_s` is the moment (seconds
    since 1970), 0 where it does not matter.

    `is_whole` is false where the head came and not all of the body did: it broke off, took too long, or nobody can tell
    where it ends. The status stands all the same; who needs the body has none."""

    __slots__ = ("body", "came_s", "headers", "is_whole", "status")

    def __init__(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.status = status
        self.headers = headers or {}
        self.body = body
        self.came_s = 0.0
        self.is_whole = True


# What a reply means. A destination's `classify` returns one of these.
DELIVERED = "delivered"
RETRY = "retry"
SPLIT = "split"  # too large as a whole: send it again in halves
REJECTED = "rejected"  # never acceptable as it is
POISONED = "poisoned"  # not acceptable as a whole, though some of its records may be: find out which
PARTIAL = "partial"  # some records are taken, some refused, some to be sent again
AUTHENTICATION = "authentication"  # refused until a credential changes; worth another try with fresh ones


class Outcome:
    """The meaning of a reply: one of the words above, a reason to count and show by, and when to try again.

    The reason is the same for all that have one trouble, for it is counted by; what tells one of them from another
    stands in `details`, for the log.

    With `PARTIAL`, `refused` and `again` are the places in the batch (from 0) of records that will never be taken and
    of those that may be when they are sent again; all others were taken.
    """

    __slots__ = ("again", "details", "kind", "reason", "refused", "retry_after_s")

    def __init__(
        self,
        kind: str,
        reason: str = "",
        retry_after_s: float | None = None,
        refused: Collection[int] = (),
        again: Collection[int] = (),
        details: Mapping[str, object] | None = None,
    ) -> None:
        self.kind = kind
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.refused = refused
        self.again = again
        self.details = details or {}
