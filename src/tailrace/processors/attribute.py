"""Which invocation a record belongs to. Pure, apart from what it remembers of the records before."""

from __future__ import annotations

from tailrace.pipeline.times import normal_time
from tailrace.protocol.events import request_id_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.model.record import Record


_REMEMBERED = 64  # invocations that late lines may still belong to
_LOOKED_AT = 8  # of those that have ended: which of them ran when a line was written


class Attributor:
    """Stamps `request_id` on records in the order in which they came.

    Platform events name their request themselves. A function's line belongs to the invocation between whose
    platform.start and platform.runtimeDone it came. The pipes of the function are slower than the platform's own
    events: a line that comes after runtimeDone, but is not later by its own time, still belongs to it. A batch that
    comes twice brings lines of invocations before that one: they belong to whichever ran at their time, or to none.
    A line that names a request itself (see `own_request_id`) belongs to that where there was such an invocation: the
    member may also be the customer's word for something else, and then order knows better. Everything else stays
    without.

    `concurrent` is for environments that run several invocations at once: there order says nothing.
    """

    __slots__ = ("_concurrent", "_current", "_done", "_done_time", "_ended", "_start_time", "_started")

    def __init__(self, concurrent: bool = False) -> None:
        self._concurrent = concurrent
        self._current: str | None = None
        self._start_time = ""
        self._started: dict[str, str] = {}  # and when
        self._ended: list[tuple[str, str, str]] = []  # from when to when the last ones ran
        self._done: str | None = None
        self._done_time = ""

    def stamp(self, record: Record) -> None:
        if record.type.startswith("platform."):
            record.request_id = request_id_of(record.event)
            self._follow(record)
            return
        own = own_request_id(record.event)
        record.request_id = own
        if record.type == "function" and not self._concurrent and own not in self._started:
            record.request_id = self._by_order(record.time) or own

    def _follow(self, record: Record) -> None:
        """Keep track of which invocation runs."""
        if record.request_id is None:
            return
        if record.type == "platform.start":
            self._current = record.request_id
            self._start_time = self._started[record.request_id] = normal_time(record.time) or ""
            if len(self._started) > _REMEMBERED:
                del self._started[next(iter(self._started))]
        elif record.type == "platform.runtimeDone":
            self._end(record.request_id, normal_time(record.time) or "")
        elif record.type == "platform.report" and record.request_id == self._current:
            # runtimeDone was lost, or this platform does not send it
            self._end(record.request_id, normal_time(record.time) or "")

    def _end(self, request_id: str, time: str) -> None:
        self._ended.append((request_id, self._started.get(request_id, ""), time))
        del self._ended[:-_LOOKED_AT]
        self._done = request_id
        self._done_time = time
        self._current = None

    def _by_order(self, time: str) -> str | None:
        # The usual case, and the same for a text of that length that is no time.
        if self._done is None or (len(time) == len(self._done_time) and time > self._done_time):
            return self._current
        time = normal_time(time) or ""
        belongs_to_done = time != "" and time <= self._done_time
        if belongs_to_done and (self._current is None or time < self._start_time):
            return next((ended for ended, start, end in reversed(self._ended) if start <= time <= end), None)
        return self._current


# How runtimes and the libraries around them call it, in JSON lines (lambda-platform.md 8).
_MEMBERS = ("requestId", "AWSRequestId", "awsRequestId", "aws_request_id", "function_request_id")
_ID_LENGTH = 36  # of a UUID with its dashes
_HEAD_CHARACTERS = 200


def own_request_id(event: object) -> str | None:
    """The request that a line names itself: a member of an object, or a field of the text formats of the runtimes for
    Python (``[LEVEL]<tab>time<tab>id<tab>message``) and Node.js (``time<tab>id<tab>LEVEL<tab>message``)."""
    line = event.get("record") if isinstance(event, dict) else None
    if isinstance(line, str):
        return _of_text(line)
    if not isinstance(line, dict):
        return None
    for member in _MEMBERS:
        own = line.get(member)
        if isinstance(own, str) and own:
            return own
    return None


def _of_text(line: str) -> str | None:
    if line.find("\t", 0, _HEAD_CHARACTERS) < 0:
        return None  # most lines; the rest is worth the pieces
    fields = line[:_HEAD_CHARACTERS].split("\t", 3)
    if len(fields) < 4:
        return None
    own = fields[2] if line.startswith("[") else fields[1]
    return own if len(own) == _ID_LENGTH and own.count("-") == 4 and own.replace("-", "").isalnum() else None
