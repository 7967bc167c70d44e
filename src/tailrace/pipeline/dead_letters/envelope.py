"""What lies at the dead letter destination: one JSON line a batch, which says all that is needed to send it again."""

from __future__ import annotations

from tailrace.clock import rfc3339_ms
from tailrace.pipeline.identity import batch_id
from tailrace.protocol.jsontext import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tailrace.model.batch import Batch
    from tailrace.model.resource import Resource
    from tailrace.pipeline.ledger import LedgerRow

TYPE = "tailrace.deadLetter"
VERSION = 1


class Tried:
    """What was tried for a batch as it was first sealed, its halves' requests included: how many requests, and when
    the first and the last of them began (seconds since 1970; None where there were none)."""

    __slots__ = ("attempts", "first_s", "last_s")

    def __init__(self, attempts: int = 0, first_s: float | None = None, last_s: float | None = None) -> None:
        self.attempts = attempts
        self.first_s = first_s
        self.last_s = last_s


class Letter:
    """A batch that one destination does not get.

    `destination` is its URL without secrets, `reason` one word, `error` what the destination or the network said last
    (without secrets). `n_alike` is how many destinations have that URL but for their secrets, itself included.
    `written_s` is in seconds since 1970. `row` is where its outcome is booked.
    """

    __slots__ = (
        "batch",
        "destination",
        "environment_id",
        "error",
        "n_alike",
        "reason",
        "row",
        "tried",
        "written_s",
    )

    def __init__(
        self,
        row: LedgerRow,
        destination: str,
        batch: Batch,
        environment_id: str,
        reason: str,
        error: str,
        written_s: float,
        tried: Tried | None = None,
        n_alike: int = 1,
    ) -> None:
        self.row = row
        self.destination = destination
        self.batch = batch
        self.environment_id = environment_id
        self.reason = reason
        self.error = error
        self.written_s = written_s
        self.tried = tried or Tried()
        self.n_alike = n_alike

    def __len__(self) -> int:
        """Records."""
        return len(self.batch)

    @property
    def n_bytes(self) -> int:
        return self.batch.n_bytes


def envelope_line(letter: Letter, resource: Resource) -> bytes:
    """`letter` as one line of JSON, in ASCII, without its line break.

    Every record stands in `records` as the text of its line, so that its very bytes come back out of it; a record that
    is no UTF-8 would make all of them base 64, in `recordsBase64`.
    """
    batch = letter.batch
    members: dict[str, object] = {
        "type": TYPE,
        "version": VERSION,
        "time": rfc3339_ms(letter.written_s),
        "destination": letter.destination,
        **({"destinationsAlike": letter.n_alike} if letter.n_alike > 1 else {}),
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.tried.attempts,
        "firstAttemptTime": _time(letter.tried.first_s),
        "lastAttemptTime": _time(letter.tried.last_s),
        "functionName": resource.function_name,
        "functionVersion": resource.function_version,
        "environmentId": letter.environment_id,
        "requestIds": request_ids(batch.parts),
        "firstSeq": batch.first_seq,
        "lastSeq": batch.last_seq,
        "start": batch.start,
        "idempotencyKey": batch_id(batch, letter.environment_id),
        "recordCount": len(batch),
        **_records(batch.parts),
    }
    return dumps(members).encode("ascii")


def name_without_number(name: str) -> str:
    """The name of a destination without the number that tells it from those of the same URL but for secrets. A URL
    holds no blank."""
    return name.partition(" #")[0]


def count_alike(name: str, names: Iterable[str]) -> int:
    """How many of the `names` are the same as `name` but for their numbers."""
    return [name_without_number(one) for one in names].count(name_without_number(name))


def request_ids(lines: list[bytes]) -> list[str]:
    """The invocations that the lines belong to, each once, in order."""
    found: dict[str, None] = {}
    for line in lines:
        try:
            value = loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        request_id = value.get("requestId") if isinstance(value, dict) else None
        if isinstance(request_id, str):
            found[request_id] = None
    return list(found)


def _records(parts: list[bytes]) -> dict[str, object]:
    try:
        return {"records": [part.decode("utf-8") for part in parts]}
    except UnicodeDecodeError:
        from binascii import b2a_base64

        return {"recordsBase64": [b2a_base64(part, newline=False).decode("ascii") for part in parts]}


def _time(wall_s: float | None) -> str | None:
    return None if wall_s is None else rfc3339_ms(wall_s)
