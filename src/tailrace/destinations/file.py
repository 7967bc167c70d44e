"""``file:///path``: a folder of NDJSON files, partitioned by function and hour."""

from __future__ import annotations

from tailrace.config.urls import decode
from tailrace.destinations._shared import RequestLimits, gzipped_lines, ndjson_body, ndjson_line, partition_key
from tailrace.pipeline.messages import DELIVERED, REJECTED, FileRequest, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.config.destinations import DestinationSpec
    from tailrace.model.batch import Batch
    from tailrace.model.record import Record
    from tailrace.model.resource import Resource
    from tailrace.pipeline.messages import Reply

_LIMITS = RequestLimits(10_000, 8 * 1024 * 1024, 1.0, by_hour=True)


class FileDestination:
    """One file a batch, below `folder`. The transport writes it so that a reader never sees half of it.

    Writing a batch again replaces the file by its equal.
    """

    __slots__ = ("_compress", "_folder", "name")

    idempotent = True
    limits = _LIMITS

    def __init__(self, name: str, folder: str, compress: bool) -> None:
        self.name = name
        self._folder = folder.rstrip("/")
        self._compress = compress

    def __repr__(self) -> str:
        return f"FileDestination({self.name!r})"

    def encode_record(self, record: Record, resource: Resource) -> bytes:
        return ndjson_line(record, resource)

    def truncate_record(self, data: bytes, max_bytes: int) -> bytes | None:
        from tailrace.destinations._truncate import truncated_line

        return truncated_line(data, max_bytes)

    def build_request(self, batch: Batch, resource: Resource, wall_s: float) -> FileRequest:
        if self._compress:
            path = partition_key(batch, resource, ".ndjson.gz")
            return FileRequest(f"{self._folder}/{path}", gzipped_lines(batch))
        return FileRequest(f"{self._folder}/{partition_key(batch, resource, '.ndjson')}", ndjson_body(batch))

    def classify(self, reply: Reply) -> Outcome:
        """A file that could not be written is no reply at all: the transport raises then."""
        return Outcome(DELIVERED) if reply.status == 200 else Outcome(REJECTED, f"status {reply.status}")

    def health_request(self, wall_s: float) -> None:
        return None


def create(spec: DestinationSpec) -> FileDestination:
    return FileDestination(spec.name, decode(spec.url.path), spec.options.get("compress") == "gzip")
