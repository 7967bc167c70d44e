"""What several destinations write alike: the line, the compressed body, the place of a batch among partitions."""

from __future__ import annotations

from tailrace.pipeline.identity import safe_name
from tailrace.pipeline.times import normal_time
from tailrace.protocol.events import line_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tailrace.model.batch import Batch
    from tailrace.model.record import Record
    from tailrace.model.resource import Resource

NDJSON = "application/x-ndjson"
_LINES_AT_ONCE = 256
_NO_TIME = "1970-01-01T00:00:00.000Z"


class RequestLimits:
    """See `pipeline.interfaces.Limits`. A record of its own may fill a whole request."""

    __slots__ = ("by_hour", "max_age_s", "max_bytes", "max_records")

    def __init__(self, max_records: int, max_bytes: int, max_age_s: float, by_hour: bool = False) -> None:
        self.max_records = max_records
        self.max_bytes = max_bytes
        self.max_age_s = max_age_s
        self.by_hour = by_hour


def ndjson_line(record: Record, resource: Resource) -> bytes:
    """The record as one JSON line, without its line break. An over-long record stays whole."""
    if record.line is None:
        record.line = line_of(record.raw, record.event, record.request_id, resource.function_name, record.seq)
    return record.line


def ndjson_body(batch: Batch) -> bytes:
    """The batch's lines, each with its line break. Built in one go: a batch can be megabytes."""
    return b"\n".join([*batch.parts, b""])


def gzipped_lines(batch: Batch) -> bytes:
    """The same, compressed; it is never there as a whole."""
    parts = batch.parts
    return gzipped(
        b"\n".join([*parts[begin : begin + _LINES_AT_ONCE], b""]) for begin in range(0, len(parts), _LINES_AT_ONCE)
    )


def gzipped(pieces: Iterable[bytes]) -> bytes:
    """`pieces` as one gzip file whose header holds neither name nor time: the same pieces are the same bytes.

    Level 1: telemetry shrinks to a tenth with it, and the next five levels cost the function three times its CPU.
    """
    import zlib

    compressor = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join([*map(compressor.compress, pieces), compressor.flush()])


def partition_key(batch: Batch, resource: Resource, ending: str) -> str:
    """``functionName=NAME/year=2026/month=11/day=20/hour=21/START-ENVIRONMENT-SEQ`` plus `ending`.

    It depends on the batch and the environment alone, so that sending again writes the same object. Without a usable
    time the batch lies under 1970, where it is found, rather than under an hour that would change with each attempt.
    """
    start = normal_time(batch.start) or _NO_TIME
    stamp = "".join(ch for ch in start if ch not in "-:.")
    day = f"year={start[:4]}/month={start[5:7]}/day={start[8:10]}/hour={start[11:13]}"
    name = f"{stamp}-{safe_name(resource.environment_id)}-{batch.first_seq:08}"
    return f"functionName={safe_name(resource.function_name)}/{day}/{name}{ending}"
