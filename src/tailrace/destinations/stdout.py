"""``stdout:``: lines on the agent's standard output, for eyes and for containers that collect it."""

from __future__ import annotations

from tailrace.destinations._shared import RequestLimits, ndjson_body, ndjson_line
from tailrace.pipeline.messages import DELIVERED, PARTIAL, REJECTED, Outcome, StreamRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.config.destinations import DestinationSpec
    from tailrace.model.batch import Batch
    from tailrace.model.record import Record
    from tailrace.model.resource import Resource
    from tailrace.pipeline.messages import Reply

# Nothing in the environment tells the real service from a faithful emulator, so it is said everywhere, once.
WARNING = (
    "stdout: every record is written to the extension's standard output, which Lambda sends to CloudWatch Logs "
    "a second time, at your cost; meant for local runs"
)
_LIMITS = RequestLimits(1_000, 256 * 1024, 1.0)


class StdoutDestination:
    """Whoever reads the other end gets whole lines; there is no receipt."""

    __slots__ = ("name",)

    idempotent = False
    limits = _LIMITS

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"StdoutDestination({self.name!r})"

    def encode_record(self, record: Record, resource: Resource) -> bytes:
        return ndjson_line(record, resource)

    def truncate_record(self, data: bytes, max_bytes: int) -> bytes | None:
        from tailrace.destinations._truncate import truncated_line

        return truncated_line(data, max_bytes)

    def build_request(self, batch: Batch, resource: Resource, wall_s: float) -> StreamRequest:
        return StreamRequest(ndjson_body(batch))

    def classify(self, reply: Reply) -> Outcome:
        """A pipe that is full or closed, a disk that is full: the first lines may be out, and go out no second time."""
        if reply.status == 206:
            lines = reply.headers.get("lines", "")
            first = int(lines) if lines.isascii() and lines.isdigit() else 0
            return Outcome(PARTIAL, reply.headers.get("reason", ""), again=range(first, _LIMITS.max_records))
        return Outcome(DELIVERED) if reply.status == 200 else Outcome(REJECTED, f"status {reply.status}")

    def health_request(self, wall_s: float) -> None:
        return None


def create(spec: DestinationSpec) -> StdoutDestination:
    return StdoutDestination(spec.name)
