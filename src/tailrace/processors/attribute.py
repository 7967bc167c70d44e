"""Which invocation a record belongs to. Pure, apart from what it remembers of the records before."""

from __future__ import annotations

from tailrace.pipeline.times import epoch_ms, normal_time
from tailrace.protocol.events import request_id_of
from tailrace.protocol.jsontext import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.model.record import Record


_REMEMBERED = 64  # invocations that late lines may still belong to
_LOOKED_AT = 8  # of those that have ended: which of them ran when a line was written
_LONGEST_INVOCATION_MS = 900_000
MANAGED_INSTANCES = "lambda-managed-instances"
ONE_AT_A_TIME = ("on-demand", "provisioned-concurrency", "snap-start")
_INIT_EVENTS = ("platform.initStart", "platform.initReport")


class Attributor:
    """Stamps `request_id` on records in the order in which they came. Nothing is guessed.

    Platform events name their request themselves. A line that names a request itself (see `own_request_id`) belongs to
    that, where there was such an invocation: the member may also be the customer's word for something else. Any other
    line of a function belongs to the invocation between whose platform.start and platform.runtimeDone it came. The
    pipes of the function are slower than the platform's own events: a line that comes after runtimeDone, but is not
    later by its own time, still belongs to it. A batch that comes twice brings lines of invocations before that one:
    they belong to whichever ran at their time, or to none. While a second invocation has begun before the end of the
    first one was told, order says nothing: an end may come late. Where invocations run one at a time the end of the
    second one proves that of the first. Everything else stays without.

    `initialization` is what the platform calls the environment (lambda-platform.md 1.3); its events say so, too, and
    some come only where invocations run one at a time: runtimeDone, and reports of what is billed (6.8, 6.9).
    Environments that run several invocations at once are `concurrent`: there order never says anything, and a line
    counts that names something of the form of a request id, whose beginning may have been lost.
    """

    __slots__ = (
        "_current",
        "_done_time",
        "_ended",
        "_is_unsure",
        "_open",
        "_start_time",
        "_started",
        "concurrent",
        "one_at_a_time",
    )

    def __init__(self, concurrent: bool = False, initialization: str = "") -> None:
        self.concurrent = concurrent or initialization == MANAGED_INSTANCES
        self.one_at_a_time = initialization in ONE_AT_A_TIME
        self._current: str | None = None
        self._start_time = ""
        self._open: dict[str, str] = {}  # what has begun and not ended, in order, and when
        self._is_unsure = False  # one of these should have ended long ago
        self._started: dict[str, str] = {}  # and when
        self._ended: list[tuple[str, str, str]] = []  # from when to when the last ones ran
        self._done_time: str | None = None  # of the latest end

    def stamp(self, record: Record) -> None:
        if record.type.startswith("platform."):
            record.request_id = request_id_of(record.event)
            self._follow(record)
            return
        record.request_id = own_request_id(record.event, self._counts)
        if record.request_id is None and record.type == "function" and not self.concurrent:
            record.request_id = self._by_order(record.time)

    def _counts(self, own: str) -> bool:
        """Whether what a line calls its request is one."""
        return own in self._started or (self.concurrent and is_request_id(own))

    def _follow(self, record: Record) -> None:
        """Keep track of which invocations run."""
        if record.type in _INIT_EVENTS:
            self._learn(record.event)
        elif not self.one_at_a_time and not self.concurrent:
            self.one_at_a_time = record.type == "platform.runtimeDone" or _is_billed(record)
        if record.request_id is None:
            return
        if record.type == "platform.start":
            self._begin(record.request_id, normal_time(record.time) or "")
        elif record.type == "platform.runtimeDone" or (
            # runtimeDone was lost, or this platform does not send it
            record.type == "platform.report" and record.request_id in self._open
        ):
            self._end(record.request_id, normal_time(record.time) or "")

    def _learn(self, event: object) -> None:
        said = event.get("record") if isinstance(event, dict) else None
        kind = said.get("initializationType") if isinstance(said, dict) else None
        self.concurrent = self.concurrent or kind == MANAGED_INSTANCES
        self.one_at_a_time = self.one_at_a_time or kind in ONE_AT_A_TIME

    def _begin(self, request_id: str, time: str) -> None:
        if self._started.get(request_id) == time and request_id not in self._open:
            return  # a batch that came twice
        self._started[request_id] = time
        if len(self._started) > _REMEMBERED:
            del self._started[next(iter(self._started))]
        for other, start in list(self._open.items()):
            if len(self._open) >= _REMEMBERED or _is_over(start, time):
                del self._open[other]
        self._open[request_id] = time
        self._settle(request_id)

    def _end(self, request_id: str, time: str) -> None:
        if request_id not in self._open and self._has_ended(request_id):
            return  # a batch that came twice
        if self.one_at_a_time:
            self._forget_those_before(request_id, time)
        self._ended.append((request_id, self._started.get(request_id, ""), time))
        del self._ended[:-_LOOKED_AT]
        self._done_time = max(time, self._done_time or "")
        self._open.pop(request_id, None)
        self._settle(self._current)

    def _forget_those_before(self, request_id: str, time: str) -> None:
        """They have ended, and it was not told. The start of the one that ends at `time` may not have been told either:
        then it ran after whatever began before its end."""
        is_open = request_id in self._open
        for other, start in list(self._open.items()):
            if other == request_id:
                return
            if is_open or "" < start < time:
                del self._open[other]

    def _settle(self, newest: str | None) -> None:
        """Which invocation it is that runs, if that is known."""
        self._current = newest if newest in self._open else None
        self._start_time = self._open.get(self._current or "", "")
        self._is_unsure = len(self._open) > (self._current is not None)

    def _has_ended(self, request_id: str) -> bool:
        return any(ended == request_id for ended, _, _ in self._ended)

    def _by_order(self, time: str) -> str | None:
        if self._is_unsure:
            return None
        # The usual case, and the same for a text of that length that is no time.
        if self._done_time is None or (len(time) == len(self._done_time) and time > self._done_time):
            return self._current
        time = normal_time(time) or ""
        belongs_to_done = time != "" and time <= self._done_time
        if belongs_to_done and (self._current is None or time < self._start_time):
            return next((ended for ended, start, end in reversed(self._ended) if start <= time <= end), None)
        return self._current


def _is_billed(record: Record) -> bool:
    """Whether it is the report of an invocation that ran alone."""
    said = record.event.get("record") if record.type == "platform.report" and isinstance(record.event, dict) else None
    metrics = said.get("metrics") if isinstance(said, dict) else None
    return isinstance(metrics, dict) and "billedDurationMs" in metrics


def _is_over(start: str, now: str) -> bool:
    """Whether no invocation that began at `start` can still run."""
    start_ms, now_ms = epoch_ms(start), epoch_ms(now)
    return start_ms is not None and now_ms is not None and now_ms - start_ms > _LONGEST_INVOCATION_MS


# How runtimes and the libraries around them call it, in JSON lines (lambda-platform.md 8).
_MEMBERS = ("requestId", "AWSRequestId", "awsRequestId", "aws_request_id", "function_request_id")
_BEFORE_JSON = frozenset("{ \t\r\n")
_HINT = "equest"  # in each of them
_ID_PARTS = [8, 4, 4, 4, 12]  # characters of a UUID between its dashes
_HEX = frozenset("0123456789abcdefABCDEF")
_HEAD_CHARACTERS = 200
_MOST_JSON_CHARACTERS = 262_144


def is_request_id(text: str) -> bool:
    """Whether it has the form of a request id: a UUID."""
    parts = text.split("-", 5)
    return [len(part) for part in parts] == _ID_PARTS and all(map(_HEX.issuperset, parts))


def own_request_id(event: object, counts: Callable[[str], bool] = is_request_id) -> str | None:
    """The request that a line names itself, the first that `counts`: a member of an object (also of one that is written
    as text), or a field of the text formats of the runtimes for Python (``[LEVEL]<tab>time<tab>id<tab>message``) and
    Node.js (``time<tab>id<tab>LEVEL<tab>message``)."""
    line = event.get("record") if isinstance(event, dict) else None
    if isinstance(line, str):
        return _of_text(line, counts)
    return _of_object(line, counts) if isinstance(line, dict) else None


def _of_object(line: dict[str, object], counts: Callable[[str], bool]) -> str | None:
    for member in _MEMBERS:
        own = line.get(member)
        if isinstance(own, str) and own and counts(own):
            return own
    return None


def _of_text(line: str, counts: Callable[[str], bool]) -> str | None:
    if line[:1] in _BEFORE_JSON and _HINT in line:
        value = _json_in(line)
        if isinstance(value, dict):
            return _of_object(value, counts)
    if line.find("\t", 0, _HEAD_CHARACTERS) < 0:
        return None  # most lines; the rest is worth the pieces
    fields = line[:_HEAD_CHARACTERS].split("\t", 3)
    if len(fields) < 4:
        return None
    own = fields[2] if line.startswith("[") else fields[1]
    return own if counts(own) else None


def _json_in(line: str) -> object:
    """What stands in a line as JSON; None where it is none."""
    text = line.strip()
    if not text.startswith("{") or len(text) > _MOST_JSON_CHARACTERS:
        return None
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return None
